// Channels, select and the mutex.
package main

import (
	"fmt"
	"sync"
)

func pingpong() {
	const trips = 500000
	bench("pingpong", func() {
		there, back := make(chan int64), make(chan int64)
		go func() {
			for value := range there {
				back <- value
			}
			close(back)
		}()
		for i := int64(0); i < trips; i++ {
			there <- i
			<-back
		}
		close(there)
		<-back
	}, trips, 1, "ns")
}

func buffered() {
	const messages, capacity = 2000000, 100
	for _, pairs := range []int{1, 4} {
		bench(fmt.Sprintf("buffered_%dx%d", pairs, pairs), func() {
			var producers, consumers sync.WaitGroup
			ch := make(chan int64, capacity)
			for i := 0; i < pairs; i++ {
				producers.Add(1)
				go func() {
					for i := int64(0); i < int64(messages/pairs); i++ {
						ch <- i
					}
					producers.Done()
				}()
				consumers.Add(1)
				go func() {
					for range ch {
					}
					consumers.Done()
				}()
			}
			producers.Wait()
			close(ch)
			consumers.Wait()
		}, messages, 1, "ns")
	}
}

func blockingSelect() {
	const messages = 400000
	receive := map[int]func([]chan int64){
		2: func(ch []chan int64) {
			select {
			case <-ch[0]:
			case <-ch[1]:
			}
		},
		4: func(ch []chan int64) {
			select {
			case <-ch[0]:
			case <-ch[1]:
			case <-ch[2]:
			case <-ch[3]:
			}
		},
		8: func(ch []chan int64) {
			select {
			case <-ch[0]:
			case <-ch[1]:
			case <-ch[2]:
			case <-ch[3]:
			case <-ch[4]:
			case <-ch[5]:
			case <-ch[6]:
			case <-ch[7]:
			}
		},
	}
	for _, channels := range []int{2, 4, 8} {
		bench(fmt.Sprintf("select_%d", channels), func() {
			ch := make([]chan int64, channels)
			for i := range ch {
				ch[i] = make(chan int64)
			}
			go func() {
				for i := 0; i < messages; i++ {
					ch[i%channels] <- int64(i)
				}
			}()
			for i := 0; i < messages; i++ {
				receive[channels](ch)
			}
		}, messages, 1, "ns")
	}
}

func sieve() {
	const primes, lastPrime = 2000, 17389
	bench("sieve", func() {
		found := 0
		end := make(chan int)
		go func(out chan int) {
			for n := 2; n <= lastPrime; n++ {
				out <- n
			}
			close(out)
		}(end)
		prime, more := <-end
		for more {
			found++
			next := make(chan int)
			go func(prime int, in, out chan int) {
				for n := range in {
					if n%prime != 0 {
						out <- n
					}
				}
				close(out)
			}(prime, end, next)
			end = next
			prime, more = <-end
		}
		if found != primes {
			panic(fmt.Sprint(found, " primes"))
		}
	}, 1, 1e6, "ms")
}

func mutex() {
	const locks = 4000000
	for _, contenders := range []int{1, 8} {
		bench(fmt.Sprintf("mutex_%d", contenders), func() {
			var lock sync.Mutex
			var all sync.WaitGroup
			value := 0
			for i := 0; i < contenders; i++ {
				all.Add(1)
				go func() {
					for i := 0; i < locks/contenders; i++ {
						lock.Lock()
						value++
						lock.Unlock()
					}
					all.Done()
				}()
			}
			all.Wait()
			if value != locks {
				panic(fmt.Sprint(value, " increments"))
			}
		}, locks, 1, "ns")
	}
}
