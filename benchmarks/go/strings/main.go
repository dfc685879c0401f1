// Strings; see benchmarks/workloads/strings.cc. They are Go's, so a reference
// to one is two words, and new ones are made as strings.Builder makes them:
// their bytes are written once and not copied.
package main

import (
	"flag"
	"strings"
	"unsafe"

	"loam/benchmarks/go/support"
)

var (
	linesFlag  = flag.Int("lines", 250_000, "to make")
	windowFlag = flag.Int("window", 50_000, "lines that are kept")
	factor     = flag.Float64("factor", 2.5, "heap size as a multiple of the live size")
)

type line struct {
	text  string
	words []string
}

// A leaf has a string, other nodes have two ropes.
type rope struct {
	left, right *rope
	leaf        string
	length      int
}

const (
	fewestWords  = 2
	mostWords    = 30
	shortestWord = 1
	longestWord  = 15
	// Its text, 16 words of 16 bytes, and references to them, on average; as
	// for the other peers.
	liveBytesPerLine = 160 + 16*16 + 160 + 8
)

type work struct {
	random   *support.Random
	window   []*line
	checksum uint64
}

func newWork(window int) *work {
	return &work{random: support.NewRandom(1), window: make([]*line, window)}
}

func (w *work) run(lines int) uint64 {
	for i := 0; i < lines; i++ {
		text := w.compose()
		l := &line{words: split(text)}
		l.text = join(l.words)
		if text == l.text {
			w.checksum += uint64(len(text))
		}
		w.window[i%len(w.window)] = l
	}
	for _, l := range w.window {
		if l == nil {
			continue
		}
		for _, word := range l.words {
			w.checksum += uint64(word[0])
		}
	}
	return w.checksum
}

// Bytes that are not written again, as a string.
func asString(bytes []byte) string {
	return *(*string)(unsafe.Pointer(&bytes))
}

// Words and a blank behind each, one concatenation after the other.
func (w *work) compose() string {
	words := fewestWords + int(w.random.Below(mostWords-fewestWords+1))
	text := ""
	for i := 0; i < words; i++ {
		bits := w.random.Next()
		length := shortestWord + int((bits>>32)%(longestWord-shortestWord+1))
		longer := make([]byte, len(text)+length+1)
		end := longer[copy(longer, text):]
		for j := 0; j < length; j++ {
			end[j] = 'a' + byte(bits>>(2*j)&15)
		}
		end[length] = ' '
		text = asString(longer)
	}
	return text
}

// The words, without blanks.
func split(text string) []string {
	words := make([]string, strings.Count(text, " "))
	start := 0
	for i := range words {
		end := start + strings.IndexByte(text[start:], ' ')
		words[i] = strings.Clone(text[start:end])
		start = end + 1
	}
	return words
}

// The words with a blank behind each.
func join(words []string) string {
	r := ropeOf(words)
	text := make([]byte, r.length)
	r.flatten(text)
	return asString(text)
}

func ropeOf(words []string) *rope {
	if len(words) == 1 {
		return &rope{leaf: words[0], length: len(words[0]) + 1}
	}
	r := new(rope)
	middle := len(words) / 2
	r.left = ropeOf(words[:middle])
	r.right = ropeOf(words[middle:])
	r.length = r.left.length + r.right.length
	return r
}

// Returns what is behind the text.
func (r *rope) flatten(to []byte) []byte {
	if r.left != nil {
		return r.right.flatten(r.left.flatten(to))
	}
	end := copy(to, r.leaf)
	to[end] = ' '
	return to[end+1:]
}

func main() {
	support.IgnoreMarkers()
	flag.Parse()
	live := float64(*windowFlag * liveBytesPerLine)
	support.FixedHeap(int64(*factor*live) + 1<<20)
	var report support.Report
	report.Time(live, func() uint64 { return newWork(*windowFlag).run(*linesFlag) })
	report.Print()
}
