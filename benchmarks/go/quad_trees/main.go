// Quad trees; see benchmarks/workloads/quad_trees.cc.
package main

import (
	"flag"
	"math/bits"
	"unsafe"

	"loam/benchmarks/go/support"
)

var (
	depthFlag        = flag.Int("depth", 11, "of the tree; 11 makes 5.6 million nodes")
	replacementsFlag = flag.Int("replacements", 12_000, "of subtrees, half as deep as the tree")
	factor           = flag.Float64("factor", 2.5, "heap size as a multiple of the live size")
)

type quad struct {
	children [4]*quad
	data     uint64
}

const (
	// Of a node, at the peers' cell sizes; Go's too.
	nodeBytes = 48
	// As many bytes of nodes as of garbage, whose mean size is 360 bytes.
	nodesPerGarbage = 8
)

func treeNodes(depth int) int {
	return (4<<(2*depth) - 1) / 3
}

type work struct {
	depth        int
	random       *support.Random
	untilGarbage int
	dropsGarbage bool
	made         uint64
	checksum     uint64
}

func newWork(depth int) *work {
	return &work{
		depth:        depth,
		random:       support.NewRandom(1),
		untilGarbage: nodesPerGarbage,
	}
}

func (w *work) run(replacements int) uint64 {
	root := w.makeTree(w.depth)
	w.dropsGarbage = true
	for i := 0; i < replacements; i++ {
		w.replace(root)
	}
	return w.checksum + root.sum()
}

// A tree from the bottom; nodes are numbered.
func (w *work) makeTree(depth int) *quad {
	if depth == 0 {
		return w.newQuad()
	}
	first := w.makeTree(depth - 1)
	second := w.makeTree(depth - 1)
	third := w.makeTree(depth - 1)
	fourth := w.makeTree(depth - 1)
	q := w.newQuad()
	q.children[0] = first
	q.children[1] = second
	q.children[2] = third
	q.children[3] = fourth
	return q
}

func (w *work) newQuad() *quad {
	w.untilGarbage--
	if w.untilGarbage == 0 {
		w.untilGarbage = nodesPerGarbage
		if w.dropsGarbage {
			w.dropGarbage()
		}
	}
	w.made++
	return &quad{data: w.made}
}

// Sizes of 8 words times 2^k with probability 2^-k, up to 4,096 words.
func (w *work) dropGarbage() {
	words := 8 << bits.TrailingZeros64(w.random.Next()|1<<9)
	garbage := make([]unsafe.Pointer, words)
	garbage[words/2] = unsafe.Pointer(&garbage[0])
	w.checksum += uint64(words)
}

// The node above the subtree stays where it is.
func (w *work) replace(root *quad) {
	height := w.depth / 2
	above := root
	for level := w.depth; level > height+1; level-- {
		above = above.children[w.random.Below(4)]
	}
	child := &above.children[w.random.Below(4)]
	w.checksum += (*child).data
	*child = w.makeTree(height)
}

func (q *quad) sum() uint64 {
	if q == nil {
		return 0
	}
	sum := q.data
	for _, child := range q.children {
		sum += child.sum()
	}
	return sum
}

func main() {
	support.IgnoreMarkers()
	flag.Parse()
	depth := *depthFlag
	if depth < 1 {
		depth = 1
	}
	live := float64(treeNodes(depth) * nodeBytes)
	support.FixedHeap(int64(*factor*live) + 1<<20)
	var report support.Report
	report.Time(live, func() uint64 { return newWork(depth).run(*replacementsFlag) })
	report.Print()
}
