// Marking heaps of several shapes and densities; see
// benchmarks/workloads/mark.cc.
//
// Go marks while the program runs, so its pauses tell nothing here.
// mark_ns_per_object is the time from the call of runtime.GC to the end of the
// marking, collect_ns_per_object that of the whole call, which sweeps. The
// program waits meanwhile, so all GOMAXPROCS processors mark; cpu_ms tells what
// they cost.
package main

import (
	"flag"
	"runtime"
	"sort"
	"time"
	"unsafe"

	"loam/benchmarks/go/support"
)

var (
	shape       = flag.String("shape", "tree", "tree, random_tree, graph, arrays or lru")
	livePercent = flag.Int("live", 100, "percent of the cells of a page: 100, 50 or 10")
	objects     = flag.Int("objects", 4194303, "live ones; trees are cut to a full one")
	collections = flag.Int("collections", 5, "that are timed; their median counts")
)

type node struct {
	first, second, third *node
	data                 uint64
}

// Of trees: two references and two words of data.
type treeNode struct {
	left, right *treeNode
	data        [2]uint64
}

type entry struct {
	nextInBucket, newer, older *entry
	text                       *[24]byte
	key, hits                  uint64
}

const arrayElements = 1000

type builder struct {
	objects     int
	deadPerLive int
	random      *support.Random
}

// Where objects that are not used are stored, to be on the heap at all.
var unused unsafe.Pointer

// An object, somewhere among dead ones of its kind.
func newAmong[T any](b *builder) *T {
	before := 0
	if b.deadPerLive != 0 {
		before = int(b.random.Below(uint64(b.deadPerLive + 1)))
	}
	for i := 0; i < before; i++ {
		unused = unsafe.Pointer(newWritten[T]())
	}
	object := newWritten[T]()
	for i := before; i < b.deadPerLive; i++ {
		unused = unsafe.Pointer(newWritten[T]())
	}
	return object
}

// All types end in a word of data. It is written, as real objects are: memory
// that is only ever read is the OS's one page of zeroes.
func newWritten[T any]() *T {
	object := new(T)
	*(*uint64)(unsafe.Add(unsafe.Pointer(object), unsafe.Sizeof(*object)-8)) = 1
	return object
}

// New objects and the array that refers to them.
func newAll[T any](b *builder, n int) []*T {
	all := make([]*T, n)
	for i := range all {
		all[i] = newAmong[T](b)
	}
	return all
}

// Indices below n in no order.
func (b *builder) shuffled(n int) []uint32 {
	order := make([]uint32, n)
	for i := range order {
		order[i] = uint32(i)
	}
	for i := n - 1; i > 0; i-- {
		j := b.random.Below(uint64(i + 1))
		order[i], order[j] = order[j], order[i]
	}
	return order
}

// build returns the root and how many objects it keeps alive.
func (b *builder) build() (root any, live int) {
	switch *shape {
	case "tree", "random_tree":
		depth := 1
		for 2<<depth-1 <= b.objects {
			depth++
		}
		live = 1<<depth - 1
		if *shape == "tree" {
			return b.preorder(depth), live
		}
		return b.randomTree(live), live
	case "graph":
		return b.graph(), b.objects
	case "arrays":
		return b.arrays()
	case "lru":
		return b.lru()
	}
	support.Fail("no such shape:", *shape)
	return nil, 0
}

func (b *builder) preorder(depth int) *treeNode {
	n := newAmong[treeNode](b)
	if depth > 1 {
		n.left = b.preorder(depth - 1)
		n.right = b.preorder(depth - 1)
	}
	return n
}

// The i-th of a random order has the (2i+1)-th and (2i+2)-th as children.
func (b *builder) randomTree(nodes int) *treeNode {
	all := newAll[treeNode](b, nodes)
	order := b.shuffled(nodes)
	for i := 0; 2*i+2 < nodes; i++ {
		n := all[order[i]]
		n.left = all[order[2*i+1]]
		n.right = all[order[2*i+2]]
	}
	return all[order[0]]
}

func (b *builder) graph() *node {
	nodes := b.objects
	all := newAll[node](b, nodes)
	order := b.shuffled(nodes)
	for i, position := range order {
		n := all[position]
		n.first = all[order[(i+1)%nodes]]
		n.second = all[b.random.Below(uint64(nodes))]
		n.third = all[b.random.Below(uint64(nodes))]
	}
	return all[order[0]]
}

func (b *builder) arrays() (root any, live int) {
	// Slices in an array would be three words each.
	all := make([]*[arrayElements]*treeNode, b.objects/(arrayElements+1))
	for i := range all {
		all[i] = new([arrayElements]*treeNode)
		for j := range all[i] {
			all[i][j] = newAmong[treeNode](b)
		}
	}
	return all, len(all)*(arrayElements+1) + 1
}

func (b *builder) lru() (root any, live int) {
	entries := b.objects / 2
	order := b.shuffled(entries)
	all := newAll[entry](b, entries)
	buckets := make([]*entry, entries)
	for _, e := range all {
		e.text = newAmong[[24]byte](b)
		bucket := &buckets[b.random.Below(uint64(entries))]
		e.nextInBucket = *bucket
		*bucket = e
	}
	for i := 0; i+1 < entries; i++ {
		newer, older := all[order[i]], all[order[i+1]]
		newer.older = older
		older.newer = newer
	}
	return buckets, 2*entries + 1
}

func median(values []float64) float64 {
	sort.Float64s(values)
	return values[len(values)/2]
}

func main() {
	support.IgnoreMarkers()
	flag.Parse()
	// While building, a collection would let objects take the dead ones' cells.
	support.NoCollections()
	b := &builder{
		objects:     *objects,
		deadPerLive: 100 / *livePercent - 1,
		random:      support.NewRandom(1),
	}
	root, live := b.build()
	unused = nil
	// What was dead, and what the building left in caches.
	runtime.GC()
	runtime.GC()
	var marks, wholes []float64
	var report support.Report
	var stats runtime.MemStats
	report.StartTiming()
	for i := 0; i < *collections; i++ {
		start := time.Now()
		runtime.GC()
		wholes = append(wholes, float64(time.Since(start))/float64(live))
		runtime.ReadMemStats(&stats)
		marks = append(marks, float64(int64(stats.LastGC)-start.UnixNano())/float64(live))
	}
	report.StopTiming()
	report.Add("mark_ns_per_object", median(marks))
	report.Add("collect_ns_per_object", median(wholes))
	report.SetChecksum(uint64(live))
	report.AddStatistics()
	report.Print()
	runtime.KeepAlive(root)
}
