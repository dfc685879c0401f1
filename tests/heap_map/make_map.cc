// Writes the map of a known heap, and to the standard output what browser_test
// should find on it: lines of a name and a value.
//
// usage: make_map FILE
//        make_map FILE MIB    a heap of so many MiB in objects of 32 bytes

#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>

#include "tests/heap_map/known_heap.h"

namespace loam_test {
namespace {

bool Write(const TestHeap& heap, const char* path) {
  if (loam_heap_map_write(heap.m(), path) == LOAM_OK) return true;
  fprintf(stderr, "%s\n", loam_last_error());
  return false;
}

bool WriteKnownHeap(const char* path) {
  loam_options options = TestOptions();
  options.name = "known <heap>";
  KnownHeap heap(options);
  heap.CollectByTrigger();
  if (!Write(heap, path)) return false;
  const loam_stats stats = heap.Stats();
  const auto print = [](const char* name, uint64_t value) {
    printf("%s %" PRIu64 "\n", name, value);
  };
  print("total-committed", stats.committed_bytes);
  print("total-in-spans", stats.span_bytes);
  print("total-free", stats.free_page_bytes);
  print("total-released", stats.released_bytes);
  print("total-reserved", stats.reserved_bytes);
  print("total-metadata", stats.metadata_bytes);
  print("total-spans", stats.spans);
  print("total-cycles", stats.cycles);
  print("total-live", stats.live_bytes);
  print("nodes", KnownHeap::kNodes);
  print("hostile", KnownHeap::kHostile);
  print("node-address", reinterpret_cast<uintptr_t>(heap.kept[0]));
  print("huge-address", reinterpret_cast<uintptr_t>(heap.huge));
  print("huge-bytes", KnownHeap::kHugeBytes);
  return true;
}

// Some of the objects die, in patches. Spans of one page, so many of them.
bool WriteBigHeap(const char* path, size_t mebibytes) {
  TestHeap heap;
  const size_t count = mebibytes * ((1 << 20) / 32);
  heap.kept = {nullptr};
  uint64_t random = 1;
  uint64_t share = 0;
  for (size_t i = 0; i < count; i++) {
    auto** record = static_cast<void**>(loam_alloc_slots(heap.m(), 4));
    if (record == nullptr) return false;
    if (i % 4096 == 0) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      share = random >> 59;
    }
    random = random * 6364136223846793005u + 1442695040888963407u;
    if ((random >> 59) > share) continue;
    loam_store_value_init(heap.m(), record, &record[0],
                          reinterpret_cast<loam_word>(heap.kept[0]));
    heap.kept[0] = record;
  }
  heap.Collect();
  const auto begin = std::chrono::steady_clock::now();
  if (!Write(heap, path)) return false;
  const std::chrono::duration<double, std::milli> took =
      std::chrono::steady_clock::now() - begin;
  fprintf(stderr, "%.1f MiB in spans, written in %.1f ms\n",
          static_cast<double>(heap.Stats().span_bytes) / (1 << 20),
          took.count());
  return true;
}

}  // namespace
}  // namespace loam_test

int main(int count, char** arguments) {
  if (count < 2 || count > 3) {
    fprintf(stderr, "usage: make_map FILE [MIB]\n");
    return 2;
  }
  const bool is_written =
      count == 2 ? loam_test::WriteKnownHeap(arguments[1])
                 : loam_test::WriteBigHeap(
                       arguments[1], static_cast<size_t>(atoll(arguments[2])));
  return is_written ? 0 : 1;
}
