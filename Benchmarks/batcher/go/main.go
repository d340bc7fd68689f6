// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

// The batcher with Go channels: callers send a request with a reply channel; one goroutine fills
// batches, as large as what waits, or waiting up to `delay` for more when that is above 0.
package main

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type request struct {
	rows  int
	reply chan int
}

func batcher(queue chan request, rows int, delay time.Duration) {
	batch := make([]request, 0, rows)
	for first := range queue {
		batch = append(batch[:0], first)
		if delay > 0 {
			timer := time.NewTimer(delay)
		waiting:
			for len(batch) < rows {
				select {
				case next, open := <-queue:
					if !open {
						break waiting
					}
					batch = append(batch, next)
				case <-timer.C:
					break waiting
				}
			}
			timer.Stop()
		} else {
		greedy:
			for len(batch) < rows {
				select {
				case next, open := <-queue:
					if !open {
						break greedy
					}
					batch = append(batch, next)
				default:
					break greedy
				}
			}
		}
		for _, item := range batch {
			item.reply <- item.rows
		}
	}
}

func cpu() int64 {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return usage.Utime.Nano() + usage.Stime.Nano()
}

func main() {
	number := func(index, fallback int) int {
		if len(os.Args) > index {
			if value, err := strconv.Atoi(os.Args[index]); err == nil {
				return value
			}
		}
		return fallback
	}
	rows, clients, items := number(1, 16), number(2, 1024), number(3, 4000000)
	delay := time.Duration(number(4, 0)) * time.Microsecond
	queue := make(chan request, clients*2)
	go batcher(queue, rows, delay)
	left := int64(items)
	var done sync.WaitGroup
	begin, cpuBegin := time.Now(), cpu()
	for client := 0; client < clients; client++ {
		done.Add(1)
		go func() {
			defer done.Done()
			reply := make(chan int, 1)
			for atomic.AddInt64(&left, -1) >= 0 {
				queue <- request{1, reply}
				<-reply
			}
		}()
	}
	done.Wait()
	wall, used := time.Since(begin), cpu()-cpuBegin
	fmt.Printf("{\"items_per_second\": %d, \"cpu_ns_per_item\": %d}\n",
		int64(float64(items)/wall.Seconds()), used/int64(items))
}
