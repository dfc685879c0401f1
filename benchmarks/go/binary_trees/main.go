// Binary trees of the benchmarks game; see
// benchmarks/workloads/binary_trees.cc.
package main

import (
	"flag"

	"loam/benchmarks/go/support"
)

var (
	depthFlag = flag.Int("depth", 18, "of the deepest trees; a tree of depth 0 is a node")
	factor    = flag.Float64("factor", 2.5, "heap size as a multiple of the live size; 0: Go's own rule")
)

type node struct {
	left, right *node
}

const (
	nodeBytes     = 16
	shortestDepth = 4
)

func treeNodes(depth int) int {
	return 2<<depth - 1
}

func run(depth int) uint64 {
	checksum := makeTree(depth + 1).count()
	longLived := makeTree(depth)
	for d := shortestDepth; d <= depth; d += 2 {
		trees := 1 << (depth - d + shortestDepth)
		nodes := uint64(0)
		for i := 0; i < trees; i++ {
			nodes += makeTree(d).count()
		}
		// Such that no two depths are alike.
		checksum = 3*checksum + nodes
	}
	return 3*checksum + longLived.count()
}

func makeTree(depth int) *node {
	n := new(node)
	if depth > 0 {
		n.left = makeTree(depth - 1)
		n.right = makeTree(depth - 1)
	}
	return n
}

func (n *node) count() uint64 {
	if n.left == nil {
		return 1
	}
	return 1 + n.left.count() + n.right.count()
}

func main() {
	support.IgnoreMarkers()
	flag.Parse()
	depth := *depthFlag
	if depth < shortestDepth {
		depth = shortestDepth
	}
	// The long-lived tree and one other, or the stretched one.
	live := float64(2 * treeNodes(depth) * nodeBytes)
	if *factor > 0 {
		support.FixedHeap(int64(*factor*live) + 1<<20)
	}
	var report support.Report
	report.Time(live, func() uint64 { return run(depth) })
	report.Print()
}
