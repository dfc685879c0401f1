// Objects that are to be cleaned up after; see benchmarks/workloads/cleanups.cc.
// Go runs finalizers by itself, on a goroutine of its own.
package main

import (
	"flag"
	"runtime"
	"sync/atomic"
	"time"

	"loam/benchmarks/go/support"
)

var (
	objects = flag.Int("objects", 4_000_000, "to allocate")
	heapMiB = flag.Int("heap_mib", 0, "collected when this much is in use; 0: by Go's own rule")
)

type resource struct {
	next *resource
	data [3]uint64
}

const objectsPerYield = 1000

var cleanupsRun int64

func cleanUp(*resource) { atomic.AddInt64(&cleanupsRun, 1) }

func run(objects int) {
	for i := 0; i < objects; i++ {
		runtime.SetFinalizer(new(resource), cleanUp)
		if i%objectsPerYield == 0 {
			runtime.Gosched()
		}
	}
	for i := 0; i < 2; i++ {
		runtime.GC()
		for wait := 0; atomic.LoadInt64(&cleanupsRun) < int64(objects) && wait < 5000; wait++ {
			time.Sleep(time.Millisecond)
		}
	}
}

func main() {
	support.IgnoreMarkers()
	flag.Parse()
	if *heapMiB > 0 {
		support.FixedHeap(int64(*heapMiB) << 20)
	}
	var report support.Report
	report.StartTiming()
	start := time.Now()
	run(*objects)
	ns := float64(time.Since(start).Nanoseconds())
	report.StopTiming()
	report.Add("ns_per_object", ns/float64(*objects))
	report.Add("cleanups_run", float64(atomic.LoadInt64(&cleanupsRun)))
	report.Add("cleanups_expected", float64(*objects))
	report.AddStatistics()
	report.Print()
}
