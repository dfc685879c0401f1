// Large arrays of references; see benchmarks/workloads/reference_arrays.cc. An
// array is copied as a whole.
package main

import (
	"flag"

	"loam/benchmarks/go/support"
)

var (
	arraysFlag = flag.Int("arrays", 32, "of the same length")
	lengthFlag = flag.Int("length", 100_000, "elements of an array")
	copiesFlag = flag.Int("copies", 400, "of arrays")
	factor     = flag.Float64("factor", 2.5, "heap size as a multiple of the live size")
)

type item struct {
	replaced *item // whose place it took, if that is not so itself
	key      uint64
}

const (
	// Of a copy's elements, one in so many is replaced, exchanged, in the part
	// sorted.
	replacedOneIn  = 4
	exchangedOneIn = 4
	sortedOneIn    = 16
	// Of all elements, one in so many is in the checksum.
	summedOneIn = 16
	// A reference, and the share of an object that is alive for it.
	liveBytesPerElement = 8 + 16
)

type work struct {
	length int
	random *support.Random
	all    [][]*item
}

func newWork(arrays, length int) *work {
	w := &work{
		length: length,
		random: support.NewRandom(1),
		all:    make([][]*item, arrays),
	}
	for i := range w.all {
		array := make([]*item, length)
		for j := range array {
			array[j] = w.newItem()
		}
		w.all[i] = array
	}
	return w
}

func (w *work) run(copies int) uint64 {
	for i := 0; i < copies; i++ {
		source := *w.anyArray()
		array := make([]*item, w.length)
		copy(array, source)
		w.replace(array)
		for j := 0; j < w.length/exchangedOneIn; j++ {
			a := w.random.Below(uint64(w.length))
			b := w.random.Below(uint64(w.length))
			array[a], array[b] = array[b], array[a]
		}
		sorted := w.length / sortedOneIn
		from := int(w.random.Below(uint64(w.length - sorted)))
		sortByKey(array[from : from+sorted])
		*w.anyArray() = array
	}
	checksum := uint64(0)
	for i, array := range w.all {
		for j := i % summedOneIn; j < w.length; j += summedOneIn {
			checksum += uint64(j+1) * array[j].key
		}
	}
	return checksum
}

func (w *work) newItem() *item {
	return &item{key: w.random.Next() >> 32}
}

func (w *work) anyArray() *[]*item {
	return &w.all[w.random.Below(uint64(len(w.all)))]
}

func (w *work) replace(array []*item) {
	for i := 0; i < w.length/replacedOneIn; i++ {
		item := w.newItem()
		element := &array[w.random.Below(uint64(w.length))]
		if (*element).replaced == nil {
			item.replaced = *element
		}
		*element = item
	}
}

// Quicksort by key.
func sortByKey(array []*item) {
	for len(array) > 1 {
		pivot := array[(len(array)-1)/2].key
		low := 0
		high := len(array) - 1
		for {
			for array[low].key < pivot {
				low++
			}
			for array[high].key > pivot {
				high--
			}
			if low >= high {
				break
			}
			array[low], array[high] = array[high], array[low]
			low++
			high--
		}
		// The shorter one first.
		front, back := array[:high+1], array[high+1:]
		if len(front) < len(back) {
			sortByKey(front)
			array = back
		} else {
			sortByKey(back)
			array = front
		}
	}
}

func main() {
	support.IgnoreMarkers()
	flag.Parse()
	live := float64(*arraysFlag * *lengthFlag * liveBytesPerElement)
	support.FixedHeap(int64(*factor*live) + 1<<20)
	var report support.Report
	report.Time(live, func() uint64 { return newWork(*arraysFlag, *lengthFlag).run(*copiesFlag) })
	report.Print()
}
