// A table whose entries carry finalizers; see
// benchmarks/workloads/finalizers.cc. Go runs them by itself, on a goroutine of
// its own, so the pool is locked; where others run theirs the program only
// yields.
package main

import (
	"flag"
	"runtime"
	"sync"
	"time"

	"loam/benchmarks/go/support"
)

var (
	entriesFlag      = flag.Int("entries", 200_000, "of the table")
	replacementsFlag = flag.Int("replacements", 1_000_000, "of entries")
	factor           = flag.Float64("factor", 0, "heap size as a multiple of the live size; 0: Go's own rule")
)

type entry struct {
	name   *byte
	key    uint64
	number uint32 // from the pool
	length uint32 // of the name
}

const (
	replacementsPerYield = 1000
	// Of an entry, its name and its place.
	liveBytesPerEntry = 32 + 48 + 8
)

// Gives out numbers.
var pool struct {
	sync.Mutex
	free     []uint32
	closed   int
	mostOpen int
}

func open() uint32 {
	pool.Lock()
	defer pool.Unlock()
	if len(pool.free) == 0 {
		pool.mostOpen++
		return uint32(pool.mostOpen - 1)
	}
	last := len(pool.free) - 1
	number := pool.free[last]
	pool.free = pool.free[:last]
	return number
}

func closeEntry(e *entry) {
	pool.Lock()
	defer pool.Unlock()
	pool.free = append(pool.free, e.number)
	pool.closed++
}

func closed() int {
	pool.Lock()
	defer pool.Unlock()
	return pool.closed
}

type work struct {
	table    []*entry
	random   *support.Random
	made     uint64
	checksum uint64
}

func newWork(entries int) *work {
	return &work{table: make([]*entry, entries), random: support.NewRandom(1)}
}

func (w *work) run(replacements int) uint64 {
	for i := range w.table {
		w.put(i)
	}
	for i := 0; i < replacements; i++ {
		if i%replacementsPerYield == 0 {
			runtime.Gosched()
		}
		place := int(w.random.Below(uint64(len(w.table))))
		old := w.table[place]
		w.checksum += old.key + uint64(*old.name)
		w.put(place)
	}
	return w.checksum
}

// Waits until the finalizers have run, for 10 seconds at most.
func (w *work) dropAll(expected int) {
	for i := range w.table {
		w.table[i] = nil
	}
	for i := 0; i < 2; i++ {
		runtime.GC()
		for wait := 0; closed() < expected && wait < 5000; wait++ {
			time.Sleep(time.Millisecond)
		}
	}
}

// A new entry, with a name of 16 to 79 bytes.
func (w *work) put(place int) {
	w.made++
	e := &entry{key: w.made, number: open()}
	runtime.SetFinalizer(e, closeEntry)
	e.length = 16 + uint32(w.random.Below(64))
	name := make([]byte, e.length)
	for i := range name {
		name[i] = byte(w.made)
	}
	e.name = &name[0]
	w.table[place] = e
}

func main() {
	support.IgnoreMarkers()
	flag.Parse()
	live := float64(*entriesFlag * liveBytesPerEntry)
	if *factor > 0 {
		support.FixedHeap(int64(*factor*live) + 1<<20)
	}
	var report support.Report
	w := newWork(*entriesFlag)
	expected := *entriesFlag + *replacementsFlag
	report.StartTiming()
	report.SetChecksum(w.run(*replacementsFlag))
	w.dropAll(expected)
	report.StopTiming()
	report.Add("finalizers_run", float64(closed()))
	report.Add("finalizers_expected", float64(expected))
	report.Add("most_open", float64(pool.mostOpen))
	report.Add("live_mib", live/(1<<20))
	report.AddStatistics()
	report.Print()
}
