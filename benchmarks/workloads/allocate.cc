// Allocation by size and kind. An object dies at once, or half of them, chosen
// at random, replace a random one of a table and so live for a while.
//
// malloc is asked for memory that is not zeroed and gets it back as soon as the
// object is dead, its best case: the same memory again, still in the cache.

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "benchmarks/peer/peer.h"
#include "benchmarks/support/random.h"
#include "benchmarks/support/report.h"

ABSL_FLAG(std::string, kind, "typed", "typed, bytes, slots or array");
ABSL_FLAG(int, bytes, 32, "of an object: 16, 32, 64, 128 or 256");
ABSL_FLAG(int, heap_mib, 4, "collected when this much is allocated");
ABSL_FLAG(bool, survivors, false, "half of the objects live for a while");
ABSL_FLAG(int, threads, 1, "that allocate");
ABSL_FLAG(int, megabytes, 4000, "to allocate in all, per thread");

// kWords words, the first a reference. Of types without an array too: it is
// empty.
template <size_t kWords>
struct Record {
  peer::Member<Record> next;
  uint64_t data[kWords - 1];
};
using Record16 = Record<2>;
using Record32 = Record<4>;
using Record64 = Record<8>;
using Record128 = Record<16>;
using Record256 = Record<32>;
PEER_LAYOUT(Record16, next);
PEER_LAYOUT(Record32, next);
PEER_LAYOUT(Record64, next);
PEER_LAYOUT(Record128, next);
PEER_LAYOUT(Record256, next);

struct Array {
  uint64_t count;
};
PEER_ARRAY_LAYOUT(Array, peer::Member<Array>);

struct Table {
  uint64_t count;
};
PEER_ARRAY_LAYOUT(Table, peer::Member<void>);

namespace {

// Objects in a table take about 1 MiB at any size.
constexpr size_t kSurvivingBytes = 1 << 20;

template <typename New>
void AllAtOnce(size_t objects, New&& allocate) {
  for (size_t i = 0; i < objects; i++) {
    void* object = allocate();
    asm volatile("" : : "r"(object) : "memory");
    peer::Free(object);
  }
}

template <typename New>
void HalfSurvive(const peer::Thread& thread, Table* table, size_t objects,
                 uint64_t seed, New&& allocate) {
  benchmarks::Random random(seed);
  peer::Member<void>* const element = peer::Elements(table);
  for (size_t i = 0; i < objects; i++) {
    void* object = allocate();
    asm volatile("" : : "r"(object) : "memory");
    const uint64_t bits = random.Next();
    if ((bits & 1) == 0) {
      peer::Free(object);
      continue;
    }
    peer::Member<void>& place = element[((bits >> 32) * table->count) >> 32];
    peer::Free(place.get());
    place.Set(thread, table, object);
  }
}

template <typename New>
void AllocateOn(const peer::Thread& thread, const peer::Type<Table>& tables,
                size_t bytes, uint64_t seed, New&& allocate) {
  const size_t objects =
      static_cast<size_t>(absl::GetFlag(FLAGS_megabytes)) * 1'000'000 / bytes;
  if (!absl::GetFlag(FLAGS_survivors)) return AllAtOnce(objects, allocate);
  const size_t count = kSurvivingBytes / bytes;
  peer::Local<Table> table(thread, tables.NewArray(thread, count));
  table->count = count;
  HalfSurvive(thread, table, objects, seed, allocate);
}

template <typename T>
void AllocateTyped(peer::Heap& heap, const peer::Type<Table>& tables,
                   const peer::Type<T>& type, size_t bytes, uint64_t seed) {
  const peer::Thread thread(heap);
  const std::string kind = absl::GetFlag(FLAGS_kind);
  if (kind == "bytes" || !peer::kCollects) {
    AllocateOn(thread, tables, bytes, seed,
               [&] { return peer::NewBytes(thread, bytes); });
  } else if (kind == "slots") {
    AllocateOn(thread, tables, bytes, seed,
               [&] { return peer::NewSlots(thread, bytes / 8); });
  } else if (kind == "array") {
    const peer::Type<Array> arrays(heap);
    // Two words are the count and, on some peers, the type.
    AllocateOn(thread, tables, bytes, seed,
               [&] { return arrays.NewArray(thread, bytes / 8 - 2); });
  } else if (kind == "typed") {
    AllocateOn(thread, tables, bytes, seed, [&] { return type.New(thread); });
  } else {
    peer::Fail("no such kind", kind.c_str());
  }
}

template <typename T>
void Run(peer::Heap& heap) {
  const size_t bytes = sizeof(T);
  const auto threads = static_cast<size_t>(absl::GetFlag(FLAGS_threads));
  benchmarks::Report report;
  {
    const peer::Thread main_thread(heap);
    const peer::Type<Table> tables(heap);
    const peer::Type<T> type(heap);
    report.StartTiming();
    const uint64_t start = benchmarks::NowNs();
    std::vector<std::thread> running;
    for (size_t i = 0; i < threads; i++) {
      running.emplace_back(
          [&, i] { AllocateTyped<T>(heap, tables, type, bytes, i); });
    }
    {
      const peer::Blocked blocked(main_thread);
      for (std::thread& thread : running) thread.join();
    }
    const auto ns = static_cast<double>(benchmarks::NowNs() - start);
    report.StopTiming();
    const double objects = absl::GetFlag(FLAGS_megabytes) * 1e6 /
                           static_cast<double>(bytes) *
                           static_cast<double>(threads);
    report.Add("ns_per_object", ns / objects);
    report.AddStatistics(heap.statistics());
  }
  report.Print(peer::kName);
}

}  // namespace

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  peer::Settings settings;
  settings.fixed_heap_bytes = static_cast<size_t>(absl::GetFlag(FLAGS_heap_mib))
                              << 20;
  peer::Heap heap(settings);
  switch (absl::GetFlag(FLAGS_bytes)) {
    case 16:
      Run<Record16>(heap);
      break;
    case 32:
      Run<Record32>(heap);
      break;
    case 64:
      Run<Record64>(heap);
      break;
    case 128:
      Run<Record128>(heap);
      break;
    case 256:
      Run<Record256>(heap);
      break;
    default:
      peer::Fail("--bytes is 16, 32, 64, 128 or 256");
  }
  return 0;
}
