package support

import (
	"flag"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// FixedHeap lets objects occupy this many bytes, collected when full.
//
// Go has a limit on all of its memory instead, debug.SetMemoryLimit, which
// counts free cells among live ones as taken: on fragmented heaps of this size
// it makes Go collect three times as often as others. So that Go is not judged
// by that, GOGC, which is relative to what the last collection found alive, is
// adjusted after each collection to what makes this size the next one's goal.
// It favours Go that what the runtime needs besides objects is not counted, and
// that 1 MiB is allowed on top, since Go begins to mark before the heap is
// full. The first collection is at half of the size: Go learns from it how much
// is alive; not knowing, it lets the heap grow by half while it marks.
func FixedHeap(bytes int64) {
	const allowance = 1 << 20
	// Times GOGC / 100, what no heap is collected below.
	const minimumHeap = 4 << 20
	size := float64(bytes + allowance)
	most := math.Ceil(size / minimumHeap * 100)
	percent := math.Ceil(most / 2)
	debug.SetGCPercent(int(percent))
	go func() {
		samples := []metrics.Sample{
			{Name: "/gc/cycles/total:gc-cycles"},
			{Name: "/gc/heap/goal:bytes"},
		}
		for range time.Tick(2 * time.Millisecond) {
			metrics.Read(samples)
			goal := float64(samples[1].Value.Uint64())
			if samples[0].Value.Uint64() == 0 || math.Abs(goal/size-1) < 1.0/64 {
				continue
			}
			alive := goal / (1 + percent/100)
			wanted := math.Round((size/alive - 1) * 100)
			wanted = math.Min(math.Max(wanted, 1), most)
			if wanted != percent {
				percent = wanted
				debug.SetGCPercent(int(percent))
			}
		}
	}()
}

// NoCollections until they are asked for.
func NoCollections() {
	debug.SetGCPercent(-1)
}

// IgnoreMarkers accepts --markers, which Go does not have: it marks on as many
// processors as GOMAXPROCS says, a quarter of them while there is other work.
func IgnoreMarkers() {
	flag.Int("markers", 1, "ignored: Go marks on GOMAXPROCS processors")
}
