// Package support is benchmarks/support for the programs in Go: the same random
// numbers and the same report.
package support

import (
	"fmt"
	"os"
	"runtime"
	"runtime/metrics"
	"strings"
	"syscall"
	"time"
)

// Report is what one run of a workload found out, printed as one line of JSON
// for the runner.
type Report struct {
	metrics  []string
	checksum uint64
	start    time.Time
	startCPU time.Duration
}

// Add adds a metric whose unit is the name's end, as in ns_per_object.
func (r *Report) Add(name string, value float64) {
	r.metrics = append(r.metrics, fmt.Sprintf("%q: %.6g", name, value))
}

// SetChecksum says what the work computed: the same as the programs in C++.
func (r *Report) SetChecksum(checksum uint64) {
	r.checksum = checksum
}

// StartTiming and StopTiming add wall_ms and cpu_ms of what is between them.
func (r *Report) StartTiming() {
	r.startCPU = CPU()
	r.start = time.Now()
}

func (r *Report) StopTiming() {
	wall := time.Since(r.start)
	cpu := CPU() - r.startCPU
	r.Add("wall_ms", float64(wall)/1e6)
	r.Add("cpu_ms", float64(cpu)/1e6)
}

// AddStatistics adds collections, longest_pause_ms, total_pause_ms, heap_mib.
// A pause is one stop of the world, two of them to a collection; the longest is
// of a histogram, at its column's lower end. Allocations that Go delays while
// it marks are not counted as pauses.
func (r *Report) AddStatistics() {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	r.Add("collections", float64(stats.NumGC))
	r.Add("longest_pause_ms", 1e3*longestPauseSeconds())
	r.Add("total_pause_ms", float64(stats.PauseTotalNs)/1e6)
	r.Add("heap_mib", float64(stats.HeapSys-stats.HeapReleased)/(1<<20))
}

// peakResidentMib is not getrusage's, which begins with what the process had
// before exec.
func peakResidentMib() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for _, line := range strings.Split(string(status), "\n") {
		var kib float64
		if _, err := fmt.Sscanf(line, "VmHWM: %f", &kib); err == nil {
			return kib / 1024
		}
	}
	return 0
}

// Print adds the process's peak_resident_mib and prints everything.
func (r *Report) Print() {
	r.Add("peak_resident_mib", peakResidentMib())
	fmt.Printf("{\"peer\": \"go\", \"checksum\": %d, \"metrics\": {%s}}\n",
		r.checksum, strings.Join(r.metrics, ", "))
}

// Fail ends the program.
func Fail(why ...any) {
	fmt.Fprintln(os.Stderr, why...)
	os.Exit(1)
}

// CPU is that of the process, all threads; user and system.
func CPU() time.Duration {
	u := usage()
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func usage() *syscall.Rusage {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		Fail("getrusage:", err)
	}
	return &u
}

func longestPauseSeconds() float64 {
	sample := []metrics.Sample{{Name: "/gc/pauses:seconds"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		Fail("no histogram of pauses")
	}
	histogram := sample[0].Value.Float64Histogram()
	longest := 0.0
	for i, count := range histogram.Counts {
		if count > 0 && histogram.Buckets[i] > 0 {
			longest = histogram.Buckets[i]
		}
	}
	return longest
}
