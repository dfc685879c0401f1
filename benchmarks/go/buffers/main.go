// Large buffers without references; see benchmarks/workloads/buffers.cc. Go
// zeroes them, but for memory that is new from the system.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime/debug"

	"loam/benchmarks/go/support"
)

var (
	buffersFlag = flag.Int("buffers", 8_000, "to allocate")
	ringFlag    = flag.Int("ring", 64, "buffers that are kept")
	factor      = flag.Float64("factor", 2.5, "heap size as a multiple of the live size")
)

const (
	smallestBytes = 64 << 10
	doublings     = 6
	// The mean of the sizes of newBuffer.
	meanBytes = smallestBytes * (1<<doublings - 1) / doublings * 3 / 2
	wordBytes = 8
	pageWords = 4096 / wordBytes
	keepEvery = 4
)

func residentMiB() float64 {
	var size, resident uint64
	statm, err := os.ReadFile("/proc/self/statm")
	if err == nil {
		_, err = fmt.Sscan(string(statm), &size, &resident)
	}
	if err != nil {
		support.Fail(err)
	}
	return float64(resident) * float64(os.Getpagesize()) / (1 << 20)
}

// The first word is left out: others have the length there.
type buffer []uint64

type work struct {
	ring   []buffer
	random *support.Random
}

func newWork(ring int) *work {
	return &work{ring: make([]buffer, ring), random: support.NewRandom(1)}
}

func (w *work) run(buffers int) uint64 {
	checksum := uint64(0)
	kept := 0
	for i := 0; i < buffers; i++ {
		b := w.newBuffer()
		for at := 1; at < len(b); at += pageWords {
			b[at] = uint64(at*wordBytes + i)
		}
		if i%keepEvery != 0 {
			checksum += b[1]
			continue
		}
		place := &w.ring[kept%len(w.ring)]
		kept++
		checksum += place.sum()
		*place = b
	}
	return checksum
}

func (w *work) drop() {
	for i := range w.ring {
		w.ring[i] = nil
	}
}

// As many between 64 and 128 KiB as between 2 and 4 MiB.
func (w *work) newBuffer() buffer {
	least := uint64(smallestBytes) << w.random.Below(doublings)
	bytes := least + w.random.Below(least)/8*8
	return make(buffer, bytes/wordBytes)
}

func (b buffer) sum() uint64 {
	sum := uint64(0)
	for at := 1; at < len(b); at += pageWords {
		sum += b[at]
	}
	return sum
}

func main() {
	support.IgnoreMarkers()
	flag.Parse()
	live := float64(*ringFlag * meanBytes)
	// The largest buffer may come on top.
	support.FixedHeap(int64(*factor*live) + smallestBytes<<doublings)
	var report support.Report
	w := newWork(*ringFlag)
	report.Time(live, func() uint64 { return w.run(*buffersFlag) })
	report.Add("full_resident_mib", residentMiB())
	w.drop()
	// Collects, too.
	debug.FreeOSMemory()
	report.Add("released_resident_mib", residentMiB())
	report.Print()
}
