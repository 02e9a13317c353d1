// Sleep and timers: a million asleep at once, timers made and stopped, how late a sleeper wakes.
package main

import (
	"fmt"
	"os"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

func sleepers() {
	const (
		goroutines = 1000000
		spread     = 2 * time.Second
	)
	late := make([]float64, goroutines)
	for i := range late {
		late[i] = 1 // resident before the measuring begins
	}
	before := memoryUsed()

	start := time.Now()
	first := start.Add(goroutines * 10 * time.Microsecond)
	var all sync.WaitGroup
	var arrived atomic.Int64
	all.Add(goroutines)
	for i := 0; i < goroutines; i++ {
		i := i
		at := first.Add(spread / goroutines * time.Duration(uint64(i)*1000003%goroutines))
		go func() {
			arrived.Add(1)
			time.Sleep(time.Until(at))
			late[i] = float64(time.Since(at)) / 1e3
			all.Done()
		}()
	}
	for arrived.Load() < goroutines {
		time.Sleep(time.Millisecond)
	}
	create := time.Since(start).Seconds()
	time.Sleep(100 * time.Millisecond)
	allAsleep := time.Now().Before(first)
	bytes := (memoryUsed() - before) / goroutines
	all.Wait()

	sort.Float64s(late)
	report("sleepers_create", create, "s")
	if !allAsleep {
		fmt.Fprintln(os.Stderr, "sleepers: the machine is too busy, some woke before all were asleep")
		return
	}
	report("sleepers_bytes", bytes, "B")
	report("sleepers_late_median", late[goroutines/2], "us")
	report("sleepers_late_p99", late[goroutines-1-goroutines/100], "us")
}

func timer() {
	const timers = 1000000
	bench("timer_new_stop", func() {
		for i := 0; i < timers; i++ {
			time.NewTimer(time.Hour).Stop()
		}
	}, timers, 1, "ns")
	sleepPrecision("100us", 100*time.Microsecond, 1000)
	sleepPrecision("1ms", time.Millisecond, 1000)
	sleepPrecision("10ms", 10*time.Millisecond, 200)
}

func sleepPrecision(length string, d time.Duration, sleeps int) {
	late := make([]float64, sleeps)
	for i := range late {
		start := time.Now()
		time.Sleep(d)
		late[i] = float64(time.Since(start)-d) / 1e3
	}
	sort.Float64s(late)
	report("sleep_"+length+"_late_median", late[sleeps/2], "us")
	report("sleep_"+length+"_late_p99", late[sleeps-1-sleeps/100], "us")
}
