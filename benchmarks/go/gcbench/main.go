// GCBench for several threads; see benchmarks/workloads/gcbench.cc.
package main

import (
	"flag"
	"math/bits"
	"unsafe"

	"loam/benchmarks/go/support"
)

var (
	mutators = flag.Int("mutators", 1, "threads, each with its own trees")
	factor   = flag.Float64("factor", 2.5, "heap size as a multiple of the live size")
)

// 24 bytes, and Go has cells of 24.
type node struct {
	left, right *node
	i, j        int32
}

const (
	longLivedDepth = 16
	longestDepth   = 16
	shortestDepth  = 4
	numbers        = 500000
	// Between two pieces of garbage.
	nodesPerGarbage = 256
)

func treeNodes(depth int) int {
	return 2<<depth - 1
}

// As for the other peers, whose nodes are in cells of 32 bytes.
func liveBytes() int {
	return (treeNodes(longLivedDepth)+treeNodes(longestDepth))*32 +
		numbers*8 + 128<<10
}

type work struct {
	random       *support.Random
	untilGarbage int
	checksum     uint64
	// A tree in use; Go puts the root of one that only locals refer to on the
	// stack.
	tree *node
}

func newWork(seed uint64) *work {
	return &work{random: support.NewRandom(seed), untilGarbage: nodesPerGarbage}
}

func (w *work) run() uint64 {
	longLived := w.newNode()
	w.populate(longLivedDepth, longLived)
	number := make([]float64, numbers)
	for i := range number[:numbers/2] {
		number[i] = 1 / float64(i+1)
	}
	for depth := shortestDepth; depth <= longestDepth; depth += 2 {
		w.construct(depth)
	}
	return w.checksum + count(longLived) + uint64(1000*number[999])
}

func (w *work) newNode() *node {
	w.untilGarbage--
	if w.untilGarbage == 0 {
		w.untilGarbage = nodesPerGarbage
		w.dropGarbage()
	}
	return new(node)
}

// Sizes of 8 words times 2^k with probability 2^-k, up to 4,096 words.
func (w *work) dropGarbage() {
	words := 8 << bits.TrailingZeros64(w.random.Next()|1<<9)
	garbage := make([]unsafe.Pointer, words)
	garbage[words/2] = unsafe.Pointer(&garbage[0])
	w.checksum += uint64(words)
}

// Gives a node two subtrees, from the top.
func (w *work) populate(depth int, n *node) {
	if depth <= 0 {
		return
	}
	n.left = w.newNode()
	n.right = w.newNode()
	w.populate(depth-1, n.left)
	w.populate(depth-1, n.right)
}

// A tree from the bottom.
func (w *work) makeTree(depth int) *node {
	if depth <= 0 {
		return w.newNode()
	}
	left := w.makeTree(depth - 1)
	right := w.makeTree(depth - 1)
	n := w.newNode()
	n.left = left
	n.right = right
	return n
}

func (w *work) construct(depth int) {
	// Each depth allocates about twice what the longest one's tree holds.
	trees := 2 * treeNodes(longestDepth+2) / treeNodes(depth)
	for i := 0; i < trees; i++ {
		w.tree = w.newNode()
		w.populate(depth, w.tree)
		w.tree = nil
	}
	for i := 0; i < trees; i++ {
		if w.makeTree(depth).left != nil {
			w.checksum++
		}
	}
}

func count(n *node) uint64 {
	if n == nil {
		return 0
	}
	return 1 + count(n.left) + count(n.right)
}

func main() {
	support.IgnoreMarkers()
	flag.Parse()
	live := float64(*mutators * liveBytes())
	support.FixedHeap(int64(*factor * live))
	var report support.Report
	report.TimeThreads(*mutators, live, func(i int) uint64 {
		return newWork(uint64(i)).run()
	})
	report.Print()
}
