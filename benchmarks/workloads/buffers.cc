// Large buffers without references, of 64 KiB to 4 MiB. Each is written a
// little on every page; one in four is kept in a ring, read when another takes
// its place, and the others die at once. At the end the ring is dropped and
// free memory given back: full_resident_mib and released_resident_mib are
// before and after.
//
// What counts is how memory for large objects is found, and who writes it: loam
// zeroes every object, the others leave buffers as they are, and malloc, which
// frees at once, may give out one that is still in the cache. The heap of
// collectors has a fixed size, a multiple of what is alive.

#include <unistd.h>

#include <cstdio>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "benchmarks/peer/peer.h"
#include "benchmarks/support/random.h"
#include "benchmarks/workloads/run_workload.h"

ABSL_FLAG(int, buffers, 8'000, "to allocate");
ABSL_FLAG(int, ring, 64, "buffers that are kept");

// Bytes without references; not of a registered type.
struct Buffer {
  uint64_t bytes;
};

struct Ring {
  uint64_t count;
};
PEER_ARRAY_LAYOUT(Ring, peer::Member<Buffer>);

namespace {

constexpr size_t kSmallestBytes = 64 << 10;
constexpr size_t kDoublings = 6;
// The mean of the sizes of NewBuffer.
constexpr size_t kMeanBytes =
    kSmallestBytes * ((size_t{1} << kDoublings) - 1) / kDoublings * 3 / 2;
constexpr size_t kPageBytes = 4096;
constexpr size_t kKeepEvery = 4;

double ResidentMib() {
  unsigned long size = 0;
  unsigned long resident = 0;
  if (std::FILE* const file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%lu %lu", &size, &resident) != 2) resident = 0;
    std::fclose(file);
  }
  return static_cast<double>(resident) *
         static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

class Work {
 public:
  Work(const peer::Thread& thread, Ring* ring)
      : thread_(thread), ring_(thread, ring) {}

  uint64_t Run(size_t buffers) {
    uint64_t checksum = 0;
    size_t kept = 0;
    for (size_t i = 0; i < buffers; i++) {
      Buffer* const buffer = NewBuffer();
      for (size_t at = sizeof(Buffer); at < buffer->bytes; at += kPageBytes) {
        WordAt(buffer, at) = at + i;
      }
      if (i % kKeepEvery != 0) {
        checksum += WordAt(buffer, sizeof(Buffer));
        peer::Free(buffer);
        continue;
      }
      auto& place = peer::Elements(ring_.get())[kept++ % ring_->count];
      if (place != nullptr) {
        checksum += Sum(place);
        peer::Free(place);
      }
      place.Set(thread_, ring_, buffer);
    }
    return checksum;
  }

  void Drop() {
    for (size_t i = 0; i < ring_->count; i++) {
      auto& place = peer::Elements(ring_.get())[i];
      peer::Free(place);
      place.Set(thread_, ring_, nullptr);
    }
  }

 private:
  // As many between 64 and 128 KiB as between 2 and 4 MiB.
  Buffer* NewBuffer() {
    const size_t least = kSmallestBytes << random_.Below(kDoublings);
    const size_t bytes = least + random_.Below(least) / 8 * 8;
    auto* const buffer = static_cast<Buffer*>(peer::NewBytes(thread_, bytes));
    buffer->bytes = bytes;
    return buffer;
  }

  static uint64_t& WordAt(Buffer* buffer, size_t offset) {
    return *reinterpret_cast<uint64_t*>(reinterpret_cast<char*>(buffer) +
                                        offset);
  }
  static uint64_t Sum(Buffer* buffer) {
    uint64_t sum = 0;
    for (size_t at = sizeof(Buffer); at < buffer->bytes; at += kPageBytes) {
      sum += WordAt(buffer, at);
    }
    return sum;
  }

  const peer::Thread& thread_;
  peer::Local<Ring> ring_;
  benchmarks::Random random_{1};
};

}  // namespace

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  const auto ring = static_cast<size_t>(absl::GetFlag(FLAGS_ring));
  // The largest buffer may come on top.
  benchmarks::WorkloadRun run(static_cast<double>(ring * kMeanBytes),
                              /*spare_bytes=*/kSmallestBytes << kDoublings);
  const peer::Type<Ring> rings(run.heap());
  Ring* const new_ring = rings.NewArray(run.thread(), ring);
  new_ring->count = ring;
  Work work(run.thread(), new_ring);
  run.Time([&] {
    return work.Run(static_cast<size_t>(absl::GetFlag(FLAGS_buffers)));
  });
  run.report().Add("full_resident_mib", ResidentMib());
  work.Drop();
  run.thread().Collect();
  run.heap().ReleaseMemory();
  run.report().Add("released_resident_mib", ResidentMib());
  run.Print();
  return 0;
}
