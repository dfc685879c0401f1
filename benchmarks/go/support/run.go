package support

import "sync"

// Time times work, which returns a checksum, and reports that, the bytes alive at
// most and the heap's statistics.
func (r *Report) Time(live float64, work func() uint64) {
	r.StartTiming()
	checksum := work()
	r.StopTiming()
	r.SetChecksum(checksum)
	r.Add("live_mib", live/(1<<20))
	r.AddStatistics()
}

// TimeThreads is Time for work done once by each of several goroutines; the sum
// of the checksums counts.
func (r *Report) TimeThreads(threads int, live float64, work func(i int) uint64) {
	checksums := make([]uint64, threads)
	r.Time(live, func() uint64 {
		var running sync.WaitGroup
		for i := range checksums {
			running.Add(1)
			go func(i int) {
				defer running.Done()
				checksums[i] = work(i)
			}(i)
		}
		running.Wait()
		sum := uint64(0)
		for _, checksum := range checksums {
			sum += checksum
		}
		return sum
	})
}
