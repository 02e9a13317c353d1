// Goroutines that keep their thread for long, and short ones behind them.
package main

import (
	"sync"
	"syscall"
	"time"
)

func hog() {
	const (
		short  = 1000
		most   = 8
		length = 100 * time.Millisecond
	)
	var pipes [most][2]int
	for i := range pipes {
		if err := syscall.Pipe(pipes[i][:]); err != nil {
			panic(err)
		}
	}
	var start time.Time
	spins := func(int) {
		for time.Since(start) < length {
		}
	}
	naps := func(int) {
		nap := syscall.NsecToTimespec(int64(length))
		syscall.Nanosleep(&nap, nil)
	}
	read := func(i int) {
		if n, err := syscall.Read(pipes[i][0], make([]byte, 1)); n != 1 {
			panic(err)
		}
	}
	worst := func(hog func(int), count int) time.Duration {
		var waited [short]time.Duration
		var done sync.WaitGroup
		start = time.Now()
		begin := func(f func()) {
			done.Add(1)
			go func() {
				defer done.Done()
				f()
			}()
		}
		begin(func() {
			waited[0] = time.Since(start)
			for i := 0; i < count; i++ {
				syscall.Write(pipes[i][1], []byte{0})
			}
		})
		for i := 1; i < short; i++ {
			i := i
			begin(func() { waited[i] = time.Since(start) })
		}
		for i := 0; i < count; i++ {
			i := i
			begin(func() { hog(i) })
		}
		done.Wait()
		var longest time.Duration
		for _, w := range waited {
			if w > longest {
				longest = w
			}
		}
		return longest
	}
	measure := func(name string, hog func(int), count int, reads bool) {
		var longest time.Duration
		for i := 0; i < repetitions; i++ {
			time.Sleep(length / 2)
			if w := worst(hog, count); w > longest {
				longest = w
			}
			for j := 0; j < count && !reads; j++ {
				read(j)
			}
		}
		report(name, float64(longest)/1e6, "ms")
	}
	measure("hog_spin_1", spins, 1, false)
	measure("hog_spin_3", spins, 3, false)
	measure("hog_nanosleep_8", naps, 8, false)
	measure("hog_read_8", read, 8, true)
}
