// A web server for the files below a directory, of Go's own parts: what bench/httpd compares examples/c/httpd with.
//
//	httpd DIR [ADDRESS]
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

func main() {
	if len(os.Args) != 2 && len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: httpd DIR [ADDRESS]")
		os.Exit(2)
	}
	address := "127.0.0.1:8080"
	if len(os.Args) == 3 {
		address = os.Args[2]
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("listening on", listener.Addr())
	// The limits that the other server has too.
	server := http.Server{
		Handler:           http.FileServer(http.Dir(os.Args[1])),
		ReadHeaderTimeout: 30 * time.Second,
		IdleTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second,
		MaxHeaderBytes:    8192,
	}
	fmt.Fprintln(os.Stderr, server.Serve(listener))
	os.Exit(1)
}
