// Objects that are to be cleaned up after: each is allocated, gets a callback
// for its death, dies at once, and the callback runs. What that costs, all in
// all: with loam a cleanup, which gets a number and does not bring the object
// back; with Boehm's collector a finalizer without an order, its cheapest; with
// Go a finalizer (cleanups came later than the version that Debian has).
//
// Callbacks run every thousand objects, on the same thread; Go's on a thread of
// their own. At the end cleanups_run should be the number of objects, though a
// conservative collector may keep a few.

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "benchmarks/peer/peer.h"
#include "benchmarks/support/report.h"

ABSL_FLAG(int, objects, 4'000'000, "to allocate");
ABSL_FLAG(int, heap_mib, 0,
          "collected when this much is in use; 0: by the peer's own rule");

struct Resource {
  peer::Member<Resource> next;
  uint64_t data[3];
};
PEER_LAYOUT(Resource, next);

namespace {

constexpr int kObjectsPerRun = 1000;

int cleanups_run = 0;

void CleanUp() { cleanups_run++; }

void Run(const peer::Thread& thread, const peer::Type<Resource>& type,
         int objects) {
  for (int i = 0; i < objects; i++) {
    Resource* resource = type.New(thread);
    peer::SetCleanup<&CleanUp>(thread, resource);
    if (i % kObjectsPerRun == 0) peer::RunFinalizers(thread);
  }
  // The second collection is for what stale words kept from the first.
  for (int i = 0; i < 2; i++) {
    thread.Collect();
    peer::RunFinalizers(thread);
  }
}

}  // namespace

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  const int objects = absl::GetFlag(FLAGS_objects);
  peer::Settings settings;
  settings.fixed_heap_bytes = static_cast<size_t>(absl::GetFlag(FLAGS_heap_mib))
                              << 20;
  peer::Heap heap(settings);
  benchmarks::Report report;
  {
    const peer::Thread thread(heap);
    const peer::Type<Resource> type(heap);
    report.StartTiming();
    const uint64_t start = benchmarks::NowNs();
    Run(thread, type, objects);
    const auto ns = static_cast<double>(benchmarks::NowNs() - start);
    report.StopTiming();
    report.Add("ns_per_object", ns / objects);
    report.Add("cleanups_run", cleanups_run);
    report.Add("cleanups_expected", objects);
    report.AddStatistics(heap.statistics());
  }
  report.Print(peer::kName);
  return 0;
}
