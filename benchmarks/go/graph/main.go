// A random graph that changes all the time; see benchmarks/workloads/graph.cc.
package main

import (
	"flag"

	"loam/benchmarks/go/support"
)

var (
	nodesFlag = flag.Int("nodes", 1_000_000, "of the graph")
	stepsFlag = flag.Int("steps", 700_000, "each replaces a node")
	factor    = flag.Float64("factor", 2.5, "heap size as a multiple of the live size")
)

const (
	edges      = 3
	pathLength = 4 // nodes
	// Bytes alive for each node of the graph: itself, its place in the array,
	// and about one more to every two, still the target of an edge.
	bytesPerNode = 32 + 8 + 16
)

type node struct {
	edges [edges]*node
	data  uint64 // 0: no longer in the graph
}

// What was seen on a path: a node's edges, and where they lead.
type sight struct {
	before *sight
	node   *node
	edge   uint64
}

type work struct {
	all      []*node
	random   *support.Random
	made     uint64
	checksum uint64
}

func newWork(count int) *work {
	w := &work{all: make([]*node, count), random: support.NewRandom(1)}
	for i := range w.all {
		w.all[i] = w.newNode()
	}
	for _, n := range w.all {
		for i := range n.edges {
			n.edges[i] = w.anyNode()
		}
	}
	return w
}

func (w *work) run(steps int) uint64 {
	for i := 0; i < steps; i++ {
		w.replace()
		n := w.anyNode()
		edge := &n.edges[w.random.Below(edges)]
		*edge = w.anyNode()
		w.follow()
	}
	for _, n := range w.all {
		for _, target := range n.edges {
			w.checksum += target.data
		}
	}
	return w.checksum
}

func (w *work) newNode() *node {
	w.made++
	return &node{data: w.made}
}

func (w *work) anyNode() *node {
	return w.all[w.random.Below(uint64(len(w.all)))]
}

func (w *work) replace() {
	n := w.newNode()
	place := &w.all[w.random.Below(uint64(len(w.all)))]
	old := *place
	old.data = 0
	old.edges = [edges]*node{}
	*place = n
	for i := range n.edges {
		n.edges[i] = w.anyNode()
	}
}

func (w *work) follow() {
	var last *sight
	n := w.anyNode()
	for i := 0; i < pathLength; i++ {
		for j, target := range n.edges {
			last = &sight{before: last, node: target, edge: uint64(j)}
		}
		edge := &n.edges[w.random.Below(edges)]
		if (*edge).data == 0 {
			*edge = w.anyNode()
		}
		n = *edge
	}
	w.checksum += last.node.data + last.before.edge
}

func main() {
	support.IgnoreMarkers()
	flag.Parse()
	live := float64(*nodesFlag) * bytesPerNode
	support.FixedHeap(int64(*factor*live) + 1<<20)
	var report support.Report
	report.Time(live, func() uint64 { return newWork(*nodesFlag).run(*stepsFlag) })
	report.Print()
}
