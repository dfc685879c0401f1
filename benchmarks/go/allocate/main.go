// Allocation by size and kind; see benchmarks/workloads/allocate.cc. Go's new
// and make, of constant sizes but for arrays; they zero bytes too.
package main

import (
	"flag"
	"sync"
	"time"
	"unsafe"

	"loam/benchmarks/go/support"
)

var (
	kind      = flag.String("kind", "typed", "typed, bytes, slots or array")
	bytes     = flag.Int("bytes", 32, "of an object: 16, 32, 64, 128 or 256")
	heapMiB   = flag.Int("heap_mib", 4, "collected when this much is allocated")
	survivors = flag.Bool("survivors", false, "half of the objects live for a while")
	threads   = flag.Int("threads", 1, "that allocate")
	megabytes = flag.Int("megabytes", 4000, "to allocate in all, per thread")
)

// The first word a reference.
type record16 struct {
	next *record16
	data [1]uint64
}
type record32 struct {
	next *record32
	data [3]uint64
}
type record64 struct {
	next *record64
	data [7]uint64
}
type record128 struct {
	next *record128
	data [15]uint64
}
type record256 struct {
	next *record256
	data [31]uint64
}

// Objects in a table take about 1 MiB at any size.
const survivingBytes = 1 << 20

// Of one thread: objects are stored here, or they would not be on the heap.
type sink struct {
	object unsafe.Pointer
	_      [120]byte
}

// The allocation is written out in each loop: a call of a function value, which
// Go does not inline, would cost more than the allocation.

func allAtOnce[T any](objects int, sink *sink) {
	for i := 0; i < objects; i++ {
		sink.object = unsafe.Pointer(new(T))
	}
}

func halfSurvive[T any](objects int, seed uint64, sink *sink) {
	random := support.NewRandom(seed)
	table := newTable()
	for i := 0; i < objects; i++ {
		object := unsafe.Pointer(new(T))
		sink.object = object
		bits := random.Next()
		if bits&1 != 0 {
			table[((bits>>32)*uint64(len(table)))>>32] = object
		}
	}
}

func arraysAllAtOnce(objects, length int, sink *sink) {
	for i := 0; i < objects; i++ {
		sink.object = newArray(length)
	}
}

func arraysHalfSurvive(objects, length int, seed uint64, sink *sink) {
	random := support.NewRandom(seed)
	table := newTable()
	for i := 0; i < objects; i++ {
		object := newArray(length)
		sink.object = object
		bits := random.Next()
		if bits&1 != 0 {
			table[((bits>>32)*uint64(len(table)))>>32] = object
		}
	}
}

func newArray(length int) unsafe.Pointer {
	return unsafe.Pointer(&make([]unsafe.Pointer, length)[0])
}

func newTable() []unsafe.Pointer {
	return make([]unsafe.Pointer, survivingBytes / *bytes)
}

func allocate[T any](seed uint64) {
	sink := new(sink)
	objects := *megabytes * 1_000_000 / *bytes
	if *survivors {
		halfSurvive[T](objects, seed, sink)
	} else {
		allAtOnce[T](objects, sink)
	}
}

// All words are elements; where others have a count Go has it in the slice,
// which is not part of the object.
func allocateArrays(seed uint64) {
	sink := new(sink)
	objects := *megabytes * 1_000_000 / *bytes
	length := *bytes / 8
	if *survivors {
		arraysHalfSurvive(objects, length, seed, sink)
	} else {
		arraysAllAtOnce(objects, length, sink)
	}
}

var allocators = map[string]map[int]func(seed uint64){
	"typed": {
		16:  allocate[record16],
		32:  allocate[record32],
		64:  allocate[record64],
		128: allocate[record128],
		256: allocate[record256],
	},
	"bytes": {
		16:  allocate[[16]byte],
		32:  allocate[[32]byte],
		64:  allocate[[64]byte],
		128: allocate[[128]byte],
		256: allocate[[256]byte],
	},
	"slots": {
		16:  allocate[[2]unsafe.Pointer],
		32:  allocate[[4]unsafe.Pointer],
		64:  allocate[[8]unsafe.Pointer],
		128: allocate[[16]unsafe.Pointer],
		256: allocate[[32]unsafe.Pointer],
	},
	"array": {
		16:  allocateArrays,
		32:  allocateArrays,
		64:  allocateArrays,
		128: allocateArrays,
		256: allocateArrays,
	},
}

func main() {
	flag.Parse()
	support.FixedHeap(int64(*heapMiB) << 20)
	sizes, ok := allocators[*kind]
	if !ok {
		support.Fail("no such kind:", *kind)
	}
	run, ok := sizes[*bytes]
	if !ok {
		support.Fail("--bytes is 16, 32, 64, 128 or 256")
	}
	var report support.Report
	report.StartTiming()
	start := time.Now()
	var running sync.WaitGroup
	for i := 0; i < *threads; i++ {
		running.Add(1)
		go func(seed uint64) {
			defer running.Done()
			run(seed)
		}(uint64(i))
	}
	running.Wait()
	ns := float64(time.Since(start))
	report.StopTiming()
	objects := float64(*megabytes) * 1e6 / float64(*bytes) * float64(*threads)
	report.Add("ns_per_object", ns/objects)
	report.AddStatistics()
	report.Print()
}
