// A server's requests; see benchmarks/workloads/server.cc. Strings are Go's, so
// a reference to one is two words.
package main

import (
	"flag"
	"math"
	"sort"
	"strings"
	"time"
	"unsafe"

	"loam/benchmarks/go/support"
)

var (
	sessionsFlag = flag.Int("sessions", 120_000, "in the store, about 1.1 KiB each")
	requestsFlag = flag.Int("requests", 150_000, "of all threads")
	threadsFlag  = flag.Int("threads", 1, "that serve, each its share of the sessions")
	factor       = flag.Float64("factor", 0, "heap size as a multiple of the live size; 0: Go's own rule")
)

// A parameter of a request, an attribute of a session.
type pair struct {
	next        *pair
	name, value string
	uses        uint64
}

type session struct {
	attributes *pair
	page       string
	requests   uint64
}

// Of a response, the last one first.
type part struct {
	previous *part
	text     string
}

const (
	attributes       = 8
	pageLetters      = 252
	fewestParameters = 8
	mostParameters   = 36
	mostNameLetters  = 12
	mostValueLetters = 60
	// One request in so many: leaves its response as the session's page; begins
	// the session anew.
	pageEvery  = 16
	renewEvery = 64
	// Parameters that become attributes.
	stored = 2
	// Session and place, page, attributes with names and values, on average; as
	// for the other peers.
	liveBytesPerSession = 32 + 8 + 256 + attributes*(32+72)
)

type server struct {
	sessions []*session
	random   *support.Random
	checksum uint64
}

func newServer(sessions []*session, seed uint64) *server {
	return &server{sessions: sessions, random: support.NewRandom(seed)}
}

func (s *server) fillStore() {
	for i := range s.sessions {
		s.sessions[i] = s.newSession()
	}
}

// Of users first, first + step, ...; the store is shared, its parts are not.
// Returns a checksum.
func (s *server) serve(first, step int, latencies []uint32) uint64 {
	users := uint64(len(s.sessions) / step)
	for i := range latencies {
		// The cube of an even number: few users make most requests.
		x := s.random.Next() >> 32
		cube := (((x * x) >> 32) * x) >> 32
		user := first + step*int((cube*users)>>32)
		start := time.Now()
		s.serveRequest(&s.sessions[user])
		latency := time.Since(start)
		if latency > math.MaxUint32 {
			latency = math.MaxUint32
		}
		latencies[i] = uint32(latency)
	}
	return s.checksum
}

func (s *server) serveRequest(place **session) {
	request := s.newRequest(fewestParameters +
		int(s.random.Below(mostParameters+1-fewestParameters)))
	parameters := parse(request)
	session := *place
	session.requests++
	response := render(session, parameters)
	s.checksum += uint64(len(response)) + session.requests
	for i := 0; i < len(response); i += 64 {
		s.checksum += uint64(response[i])
	}
	store(session, parameters)
	if s.random.Below(pageEvery) == 0 {
		letters := len(response)
		if letters > pageLetters {
			letters = pageLetters
		}
		session.page = strings.Clone(response[:letters])
	}
	if s.random.Below(renewEvery) == 0 {
		*place = s.newSession()
	}
}

// name=value& for each parameter.
func (s *server) newRequest(parameters int) string {
	var array [mostParameters * (mostNameLetters + mostValueLetters + 2)]byte
	buffer := array[:0]
	for i := 0; i < parameters; i++ {
		buffer = s.appendLetters(buffer, mostNameLetters)
		buffer = append(buffer, '=')
		buffer = s.appendLetters(buffer, mostValueLetters)
		buffer = append(buffer, '&')
	}
	return string(buffer)
}

func (s *server) appendLetters(to []byte, most uint64) []byte {
	bits := s.random.Next()
	letters := 1 + int((bits>>32)%most)
	for i := 0; i < letters; i++ {
		to = append(to, 'a'+byte(bits>>(i&31)&15))
	}
	return to
}

// Bytes that are not written again, as a string.
func asString(bytes []byte) string {
	return *(*string)(unsafe.Pointer(&bytes))
}

func parse(request string) *pair {
	var last *pair
	start := 0
	for start < len(request) {
		p := &pair{next: last}
		p.name = copyTo('=', request, &start)
		p.value = copyTo('&', request, &start)
		last = p
	}
	return last
}

// The letters up to mark; moves start behind that.
func copyTo(mark byte, from string, start *int) string {
	first := *start
	end := first + strings.IndexByte(from[first:], mark)
	*start = end + 1
	return strings.Clone(from[first:end])
}

func render(session *session, parameters *pair) string {
	var last *part
	length := 0
	for _, pairs := range [...]*pair{session.attributes, parameters} {
		for p := pairs; p != nil; p = p.next {
			last = newPart(last, p)
			length += len(last.text)
		}
	}
	response := make([]byte, length)
	end := length
	for p := last; p != nil; p = p.previous {
		end -= len(p.text)
		copy(response[end:], p.text)
	}
	return asString(response)
}

// "name: value\n"
func newPart(previous *part, p *pair) *part {
	return &part{previous: previous, text: p.name + ": " + p.value + "\n"}
}

// Values of parameters become values of attributes.
func store(session *session, parameter *pair) {
	for i := 0; i < stored; i++ {
		attribute := session.attributes
		for j := len(parameter.value) % attributes; j > 0; j-- {
			attribute = attribute.next
		}
		attribute.value = parameter.value
		attribute.uses++
		parameter.value = ""
		parameter = parameter.next
	}
}

// As if logged in by a request that brought the attributes.
func (s *server) newSession() *session {
	session := new(session)
	session.attributes = parse(s.newRequest(attributes))
	session.page = strings.Repeat(" ", pageLetters)
	return session
}

func addLatencies(report *support.Report, all []uint32) {
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	us := func(share float64) float64 {
		i := int(share * float64(len(all)))
		if i > len(all)-1 {
			i = len(all) - 1
		}
		return float64(all[i]) / 1e3
	}
	report.Add("p50_us", us(0.5))
	report.Add("p99_us", us(0.99))
	report.Add("p999_us", us(0.999))
	report.Add("max_us", us(1))
}

func main() {
	support.IgnoreMarkers()
	flag.Parse()
	threads := *threadsFlag
	if threads < 1 {
		threads = 1
	}
	requests := *requestsFlag / threads
	live := float64(*sessionsFlag * liveBytesPerSession)
	if *factor > 0 {
		support.FixedHeap(int64(*factor*live) + 1<<20)
	}
	var report support.Report
	sessions := make([]*session, *sessionsFlag)
	newServer(sessions, 0).fillStore()
	latencies := make([][]uint32, threads)
	for i := range latencies {
		latencies[i] = make([]uint32, requests)
	}
	report.TimeThreads(threads, live, func(i int) uint64 {
		return newServer(sessions, uint64(i+1)).serve(i, threads, latencies[i])
	})
	var all []uint32
	for i := range latencies {
		all = append(all, latencies[i]...)
	}
	addLatencies(&report, all)
	report.Print()
}
