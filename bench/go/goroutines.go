// Goroutines by themselves: yield, spawn, spawn and join, a million parked, skynet.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func yield() {
	const yields = 2000000
	for _, crowd := range []struct {
		name       string
		goroutines int
	}{{"yield_2", 2}, {"yield_1000", 1000}} {
		bench(crowd.name, func() {
			var all sync.WaitGroup
			for i := 0; i < crowd.goroutines; i++ {
				all.Add(1)
				go func() {
					for i := 0; i < yields/crowd.goroutines; i++ {
						runtime.Gosched()
					}
					all.Done()
				}()
			}
			all.Wait()
		}, yields, 1, "ns")
	}
}

func spawn() {
	const goroutines = 1000000
	bench("spawn", func() {
		var all sync.WaitGroup
		all.Add(goroutines)
		for i := 0; i < goroutines; i++ {
			go all.Done()
		}
		all.Wait()
	}, goroutines, 1, "ns")
}

func spawnJoin() {
	const goroutines = 300000
	bench("spawn_join", func() {
		var one sync.WaitGroup
		for i := 0; i < goroutines; i++ {
			one.Add(1)
			go one.Done()
			one.Wait()
		}
	}, goroutines, 1, "ns")
}

// memoryUsed is VmRSS and VmPTE of this process, in bytes.
func memoryUsed() float64 {
	status, err := os.Open("/proc/self/status")
	if err != nil {
		panic(err)
	}
	defer status.Close()
	total := 0.0
	for lines := bufio.NewScanner(status); lines.Scan(); {
		var kib float64
		if key, value, _ := strings.Cut(lines.Text(), ":"); key == "VmRSS" || key == "VmPTE" {
			fmt.Sscan(value, &kib)
			total += kib * 1024
		}
	}
	return total
}

func parked() {
	const goroutines = 1000000
	gate := make(chan struct{})
	var all sync.WaitGroup
	var arrived atomic.Int64
	before := memoryUsed()

	start := time.Now()
	all.Add(goroutines)
	for i := 0; i < goroutines; i++ {
		go func() {
			arrived.Add(1)
			<-gate
			all.Done()
		}()
	}
	for arrived.Load() < goroutines {
		time.Sleep(time.Millisecond)
	}
	create := time.Since(start)

	time.Sleep(100 * time.Millisecond)
	bytes := (memoryUsed() - before) / goroutines

	start = time.Now()
	close(gate)
	all.Wait()
	wake := time.Since(start)
	report("parked_bytes", bytes, "B")
	report("parked_create", create.Seconds(), "s")
	report("parked_wake", wake.Seconds(), "s")
}

func grow(parent chan int64, number, leaves int64) {
	const children = 10
	sum := number
	if leaves > 1 {
		parts := make(chan int64)
		for i := int64(0); i < children; i++ {
			go grow(parts, number+i*(leaves/children), leaves/children)
		}
		sum = 0
		for i := 0; i < children; i++ {
			sum += <-parts
		}
	}
	parent <- sum
}

func skynet() {
	const leaves = 1000000
	bench("skynet", func() {
		root := make(chan int64)
		go grow(root, 0, leaves)
		if sum := <-root; sum != leaves*(leaves-1)/2 {
			panic(fmt.Sprint("wrong sum ", sum))
		}
	}, 1, 1e6, "ms")
}
