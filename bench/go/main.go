// The workloads of bench/c in Go: `go run . pingpong` prints the lines that bench/c/pingpong prints. bench/run
// --go runs both in turn.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"time"
)

const repetitions = 5

func report(name string, value float64, unit string) {
	fmt.Printf("%s %d %.2f %s\n", name, runtime.GOMAXPROCS(0), value, unit)
}

// bench runs round once to warm up, then repeatedly, and reports the median of what one of its operations took,
// in the unit that has so many nanoseconds.
func bench(name string, round func(), operations int, nanoseconds float64, unit string) {
	round()
	times := make([]float64, repetitions)
	for i := range times {
		start := time.Now()
		round()
		times[i] = float64(time.Since(start)) / float64(operations) / nanoseconds
	}
	sort.Float64s(times)
	report(name, times[repetitions/2], unit)
}

var workloads = map[string]func(){
	"buffered":   buffered,
	"echo":       echo,
	"hog":        hog,
	"mutex":      mutex,
	"parked":     parked,
	"pingpong":   pingpong,
	"select":     blockingSelect,
	"sieve":      sieve,
	"skynet":     skynet,
	"sleepers":   sleepers,
	"spawn":      spawn,
	"spawn_join": spawnJoin,
	"timer":      timer,
	"yield":      yield,
}

func main() {
	if len(os.Args) != 2 || workloads[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: go WORKLOAD (the name of a program in bench/c)")
		os.Exit(2)
	}
	workloads[os.Args[1]]()
}
