// TCP.
package main

import (
	"fmt"
	"io"
	"net"
	"sync"
)

// must ends the program on an error: a workload that did not run has no time.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

const (
	message = 64
	room    = 512 // asked for by each read: more than comes
)

func serve(peer net.Conn) {
	defer peer.Close()
	bytes := make([]byte, room)
	for {
		n, err := peer.Read(bytes)
		if err != nil {
			return
		}
		if _, err := peer.Write(bytes[:n]); err != nil {
			return
		}
	}
}

func ask(server net.Conn, trips int) {
	sent, got := make([]byte, message), make([]byte, room)
	copy(sent, "there and back again")
	for i := 0; i < trips; i++ {
		must(server.Write(sent))
		must(io.ReadAtLeast(server, got, message))
	}
}

func echo() {
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	go func() {
		for {
			peer, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(peer)
		}
	}()
	for _, setting := range []struct{ connections, trips int }{{1, 20000}, {64, 600}, {1000, 40}} {
		servers := make([]net.Conn, setting.connections)
		for i := range servers {
			servers[i] = must(net.Dial("tcp", listener.Addr().String()))
		}
		bench(fmt.Sprint("echo_", setting.connections), func() {
			var asking sync.WaitGroup
			for _, server := range servers {
				asking.Add(1)
				go func(server net.Conn) {
					ask(server, setting.trips)
					asking.Done()
				}(server)
			}
			asking.Wait()
		}, setting.connections*setting.trips, 1, "ns")
		for _, server := range servers {
			server.Close()
		}
	}
	listener.Close()
}
