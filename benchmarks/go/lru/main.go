// A cache that forgets what was used least recently; see
// benchmarks/workloads/lru.cc.
package main

import (
	"flag"
	"math/bits"
	"unsafe"

	"loam/benchmarks/go/support"
)

var (
	capacityFlag   = flag.Int("capacity", 300_000, "entries, of all caches")
	operationsFlag = flag.Int("operations", 2_000_000, "look-ups, of all threads")
	threadsFlag    = flag.Int("threads", 1, "each with a cache of its own")
	factor         = flag.Float64("factor", 2.5, "heap size as a multiple of the live size")
)

const (
	// Keys per entry of capacity.
	keysPerEntry = 4
	// One in so many finds is followed by a new string.
	updateEvery = 4
	// Of an entry, its string of 136 bytes on average, and its bucket.
	liveBytesPerEntry = 48 + 144 + 12
)

type entry struct {
	nextInBucket, newer, older *entry
	// With length, a slice of two words instead of three.
	text   *byte
	key    uint64
	length uint32
	hits   uint32
}

type cache struct {
	capacity       int
	random         *support.Random
	buckets        []*entry
	newest, oldest *entry
	size           int
	checksum       uint64
}

func newCache(capacity int, seed uint64) *cache {
	buckets := 1
	if capacity > 1 {
		buckets = 1 << bits.Len(uint(capacity-1))
	}
	return &cache{
		capacity: capacity,
		random:   support.NewRandom(seed),
		buckets:  make([]*entry, buckets),
	}
}

func (c *cache) run(operations int) uint64 {
	// Filled first, in the order of the keys.
	for key := 0; key < c.capacity; key++ {
		c.use(uint64(key))
	}
	for i := 0; i < operations; i++ {
		c.use(c.skewedKey())
	}
	return c.checksum + uint64(c.size)
}

// A tenth of the range gets 46 % of the draws: the cube of an even number.
func (c *cache) skewedKey() uint64 {
	x := c.random.Next() >> 32
	cube := (((x * x) >> 32) * x) >> 32
	return (cube * keysPerEntry * uint64(c.capacity)) >> 32
}

func (c *cache) bucketOf(key uint64) **entry {
	hash := (key * 0x9e3779b97f4a7c15) >> 20
	return &c.buckets[hash&uint64(len(c.buckets)-1)]
}

func (c *cache) use(key uint64) {
	e := *c.bucketOf(key)
	for e != nil && e.key != key {
		e = e.nextInBucket
	}
	if e == nil {
		c.add(key)
		return
	}
	e.hits++
	c.checksum += uint64(unsafe.Slice(e.text, e.length)[e.length/2])
	if e != c.newest {
		c.unlink(e)
		c.linkAsNewest(e)
	}
	if c.random.Below(updateEvery) == 0 {
		c.setNewText(e)
	}
}

func (c *cache) add(key uint64) {
	if c.size == c.capacity {
		c.forgetOldest()
	}
	bucket := c.bucketOf(key)
	e := &entry{key: key, nextInBucket: *bucket}
	*bucket = e
	c.linkAsNewest(e)
	c.size++
	c.setNewText(e)
}

// 8 to 264 bytes.
func (c *cache) setNewText(e *entry) {
	e.length = 8 + uint32(c.random.Below(257))
	text := make([]byte, e.length)
	// What Go has for memset.
	text[0] = byte(e.key + uint64(e.length))
	for set := 1; set < len(text); set *= 2 {
		copy(text[set:], text[:set])
	}
	e.text = &text[0]
}

func (c *cache) forgetOldest() {
	e := c.oldest
	c.checksum += uint64(e.hits)
	c.unlink(e)
	place := c.bucketOf(e.key)
	for *place != e {
		place = &(*place).nextInBucket
	}
	*place = e.nextInBucket
	c.size--
}

func (c *cache) unlink(e *entry) {
	newer, older := e.newer, e.older
	if newer != nil {
		newer.older = older
	} else {
		c.newest = older
	}
	if older != nil {
		older.newer = newer
	} else {
		c.oldest = newer
	}
	e.newer, e.older = nil, nil
}

func (c *cache) linkAsNewest(e *entry) {
	second := c.newest
	e.older = second
	if second != nil {
		second.newer = e
	} else {
		c.oldest = e
	}
	c.newest = e
}

func main() {
	support.IgnoreMarkers()
	flag.Parse()
	threads := *threadsFlag
	if threads < 1 {
		threads = 1
	}
	capacity := *capacityFlag / threads
	operations := *operationsFlag / threads
	live := float64(threads * capacity * liveBytesPerEntry)
	support.FixedHeap(int64(*factor*live) + 1<<20)
	var report support.Report
	report.TimeThreads(threads, live, func(i int) uint64 {
		return newCache(capacity, uint64(i)).run(operations)
	})
	report.Print()
}
