// Heaps: options and where they come from, triggers, statistics, typed spans.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "api/loam.h"
#include "tests/api/test_heap.h"

namespace loam_test {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

std::string Printed(const TestHeap& heap) {
  char* text = nullptr;
  size_t size = 0;
  FILE* out = open_memstream(&text, &size);
  loam_heap_options_print(heap.heap(), out);
  fclose(out);
  std::string result(text, size);
  free(text);
  return result;
}

// Sets a variable for as long as it lives.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    setenv(name, value, 1);
  }
  ~Variable() { unsetenv(name_); }

 private:
  const char* const name_;
};

// ---- Options ----------------------------------------------------------------

TEST(OptionsTest, AreAllPrinted) {
  loam_options options = TestOptions();
  options.name = "printed";
  options.gc_percent = 137;
  options.heap_limit = 99 << 20;
  options.check.poison = 1;
  TestHeap heap(options);
  const std::string text = Printed(heap);
  for (const char* option :
       {"name", "policy", "gc_percent", "minimum_heap_bytes", "fixed_heap_size",
        "heap_limit", "memory_limit", "trace", "check.stress_interval",
        "check.stress_probability", "check.stress_seed", "check.poison",
        "check.verify_marking", "check.check_stores", "check.check_threads",
        "check.forbid_foreign_references", "check.abort_on_misuse"}) {
    EXPECT_THAT(text, HasSubstr(option));
  }
  EXPECT_THAT(text, HasSubstr("printed"));
  EXPECT_THAT(text, HasSubstr("137 %"));
  EXPECT_THAT(text, HasSubstr(std::to_string(99 << 20)));
  // What is changed later is what is printed later.
  ASSERT_EQ(loam_heap_set_gc_percent(heap.heap(), 55), LOAM_OK);
  ASSERT_EQ(loam_heap_set_heap_limit(heap.heap(), 77 << 20), LOAM_OK);
  EXPECT_THAT(Printed(heap), HasSubstr("55 %"));
  EXPECT_THAT(Printed(heap), HasSubstr(std::to_string(77 << 20)));
}

TEST(OptionsTest, TraceLogsALineForEachCollection) {
  for (const bool by_environment : {false, true}) {
    std::vector<std::string> lines;
    loam_options options = TestOptions();
    options.callbacks.log = [](loam_heap*, const char* line, void* data) {
      static_cast<std::vector<std::string>*>(data)->emplace_back(line);
    };
    options.callbacks.data = &lines;
    std::optional<Variable> trace;
    if (by_environment) {
      trace.emplace("LOAM_TRACE", "gc");
    } else {
      options.trace = LOAM_TRACE_GC;
    }
    TestHeap heap(options);
    heap.kept.push_back(loam_alloc_bytes(heap.m(), 3 << 20));
    loam_alloc_bytes(heap.m(), 2 << 20);
    heap.Collect();
    heap.kept.clear();
    heap.Collect();
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_THAT(lines[0],
                ContainsRegex("^cycle 1 \\(requested\\): live 5\\.[0-9] -> "
                              "3\\.0 MiB, 1 objects; pause [0-9.]+ ms, marking "
                              "[0-9.]+; next at [0-9.]+ MiB; committed "
                              "[0-9.]+ MiB$"));
    EXPECT_THAT(lines[1], ContainsRegex("^cycle 2 \\(requested\\): live 3\\.0 "
                                        "-> 0\\.0 MiB, 0 objects;"));
  }
}

TEST(OptionsTest, TheEnvironmentOverrides) {
  const Variable percent("LOAM_GC_PERCENT", "250");
  const Variable minimum("LOAM_MINIMUM_HEAP", "2M");
  const Variable limit("LOAM_HEAP_LIMIT", "8MB");
  const Variable poison("LOAM_POISON", "1");
  loam_options options = TestOptions();
  options.gc_percent = 50;
  TestHeap heap(options);
  const std::string text = Printed(heap);
  EXPECT_THAT(text, HasSubstr("250 %"));
  EXPECT_THAT(text, HasSubstr("from LOAM_GC_PERCENT"));
  EXPECT_EQ(heap.Stats().trigger_bytes, 2u << 20);
  size_t bytes = 0;
  while (void* p = loam_alloc_bytes(heap.m(), 10000)) {
    heap.kept.push_back(p);
    bytes += 10000;
  }
  EXPECT_LT(bytes, 8u << 20);
  EXPECT_LE(heap.Stats().peak_committed_bytes, 8u << 20);
}

TEST(OptionsTest, ChecksThatOthersNeedAreShownAsOn) {
  const Variable stores("LOAM_CHECK_STORES", "1");
  TestHeap heap;
  const std::string text = Printed(heap);
  EXPECT_THAT(text, ContainsRegex("check.verify_marking +on"));
  EXPECT_THAT(text, ContainsRegex("check.check_threads +on"));
  EXPECT_THAT(text, ContainsRegex("check.poison +off"));
}

// The kernel's flags of the mapping that an address lies in.
std::string MappingFlags(const void* address) {
  std::ifstream maps("/proc/self/smaps");
  std::string line;
  bool inside = false;
  while (std::getline(maps, line)) {
    uintptr_t first = 0;
    uintptr_t end = 0;
    if (std::sscanf(line.c_str(), "%zx-%zx ", &first, &end) == 2) {
      const auto at = reinterpret_cast<uintptr_t>(address);
      inside = first <= at && at < end;
    } else if (inside && line.rfind("VmFlags:", 0) == 0) {
      return line;
    }
  }
  return "";
}

TEST(OptionsTest, HugePagesAreForLargeHeapsThatWantThem) {
  if (access("/sys/kernel/mm/transparent_hugepage", F_OK) != 0) {
    GTEST_SKIP() << "this kernel has no huge pages";
  }
  for (const char* wanted : {"0", "1"}) {
    const Variable huge("LOAM_HUGE_PAGES", wanted);
    TestHeap heap;
    while (heap.Stats().live_bytes_estimate < 64u << 20) {
      heap.kept.push_back(loam_alloc_slots(heap.m(), 1000));
      ASSERT_NE(heap.kept.back(), nullptr);
    }
    const std::string small = MappingFlags(heap.kept.front());
    const std::string large = MappingFlags(heap.kept.back());
    ASSERT_NE(small, "");
    ASSERT_NE(large, "");
    EXPECT_THAT(small, Not(HasSubstr(" hg")));
    if (*wanted == '1') {
      EXPECT_THAT(large, HasSubstr(" hg"));
    } else {
      EXPECT_THAT(large, Not(HasSubstr(" hg")));
    }
    heap.Collect();
    EXPECT_EQ(heap.Stats().live_objects, heap.kept.size());
  }
}

TEST(OptionsTest, CheckingIsSwitchedOnByTheEnvironment) {
  {
    const Variable stress("LOAM_STRESS", "1");
    TestHeap heap;
    for (int i = 0; i < 10; i++) (void)loam_alloc_bytes(heap.m(), 1);
    EXPECT_EQ(heap.Stats().cycles, 10u);
  }
  {
    const Variable probability("LOAM_STRESS_PROBABILITY", "1");
    const Variable seed("LOAM_STRESS_SEED", "9");
    TestHeap heap;
    for (int i = 0; i < 10; i++) (void)loam_alloc_bytes(heap.m(), 1);
    EXPECT_EQ(heap.Stats().cycles, 10u);
  }
  {
    const Variable poison("LOAM_POISON", "1");
    TestHeap heap;
    auto* dead = static_cast<unsigned char*>(loam_alloc_bytes(heap.m(), 100));
    heap.kept = {loam_alloc_bytes(heap.m(), 100)};
    heap.Collect();
    EXPECT_EQ(dead[0], 0xdb);
  }
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto stale = [] {
    const Variable verify("LOAM_VERIFY", "1");
    TestHeap heap;
    void* dead = loam_alloc_bytes(heap.m(), 100);
    heap.kept = {loam_alloc_bytes(heap.m(), 100)};
    heap.Collect();
    heap.kept.push_back(dead);
    heap.Collect();
  };
  EXPECT_DEATH(stale(), "provider 'kept' refers to a free cell");
  const auto raw = [] {
    const Variable stores("LOAM_CHECK_STORES", "1");
    TestHeap heap;
    auto* slots = static_cast<loam_word*>(loam_alloc_slots(heap.m(), 4));
    heap.kept = {slots};
    heap.Collect();
    slots[1] = 8;
    heap.Collect();
  };
  EXPECT_DEATH(raw(), "raw store: word 1");
  const auto misuse = [] {
    const Variable abort("LOAM_ABORT_ON_MISUSE", "1");
    TestHeap heap;
    (void)loam_gc_enable(heap.m());
  };
  EXPECT_DEATH(misuse(), "loam_gc_enable");
}

TEST(OptionsTest, AnEmptyVariableSaysNothing) {
  const Variable percent("LOAM_GC_PERCENT", "");
  TestHeap heap;
  EXPECT_THAT(Printed(heap), HasSubstr("100 %"));
}

// ---- When it collects -------------------------------------------------------

// Garbage until `cycles` more collections have run; the bytes it took for each.
uint64_t BytesPerCycle(const TestHeap& heap, uint64_t cycles) {
  const loam_stats before = heap.Stats();
  while (heap.Stats().cycles < before.cycles + cycles) {
    (void)loam_alloc_bytes(heap.m(), 1000);
  }
  return (heap.Stats().allocated_bytes - before.allocated_bytes) / cycles;
}

TEST(TriggerTest, TheHeapGrowsByGcPercent) {
  loam_options options = TestOptions();
  options.minimum_heap_bytes = 1 << 20;
  options.profile_rate = 0;  // The records of samples count.
  TestHeap heap(options);
  for (int i = 0; i < 800; i++) {
    heap.kept.push_back(loam_alloc_bytes(heap.m(), 10000));
  }
  for (const uint32_t percent : {100, 50, 200, 25}) {
    ASSERT_EQ(loam_heap_set_gc_percent(heap.heap(), percent), LOAM_OK);
    heap.Collect();
    const uint64_t live = heap.Stats().live_bytes;
    const uint64_t expected = live * percent / 100;
    EXPECT_NEAR(static_cast<double>(heap.Stats().trigger_bytes),
                static_cast<double>(live + expected), 1.0);
    const uint64_t bytes = BytesPerCycle(heap, 5);
    EXPECT_GT(bytes, expected * 9 / 10) << percent;
    EXPECT_LT(bytes, expected * 11 / 10 + 100000) << percent;
  }
}

TEST(TriggerTest, ExternalBytesCount) {
  TestHeap heap;
  (void)loam_alloc_bytes(heap.m(), 100);
  EXPECT_EQ(heap.Stats().external_bytes, 0u);
  loam_external_adjust(heap.m(), 3 << 20);
  EXPECT_EQ(heap.Stats().external_bytes, 3u << 20);
  EXPECT_LT(BytesPerCycle(heap, 1), (4u << 20) - (3u << 20) + 200000);
  loam_external_adjust(heap.m(), 100 << 20);
  for (int i = 0; i < 3000; i++) (void)loam_alloc_bytes(heap.m(), 1000);
  EXPECT_GE(heap.Stats().cycles, 2u);
  // They are live, so the next trigger lies that much further.
  heap.Collect();
  EXPECT_GT(heap.Stats().trigger_bytes, 200u << 20);
  // The total never falls below zero.
  loam_external_adjust(heap.m(), -(int64_t{1} << 40));
  EXPECT_EQ(heap.Stats().external_bytes, 0u);
  loam_external_adjust(heap.m(), INT64_MIN);
  EXPECT_EQ(heap.Stats().external_bytes, 0u);
}

TEST(TriggerTest, CyclesAreAnnounced) {
  struct Seen {
    uint64_t begun = 0;
    uint64_t ended = 0;
    loam_cycle_info last = {};
  } seen;
  loam_options options = TestOptions();
  options.callbacks.cycle_begin = [](loam_heap*, const loam_cycle_info* info,
                                     void* data) {
    auto* s = static_cast<Seen*>(data);
    EXPECT_EQ(info->number, ++s->begun);
  };
  options.callbacks.cycle_end = [](loam_heap*, const loam_cycle_info* info,
                                   void* data) {
    auto* s = static_cast<Seen*>(data);
    EXPECT_EQ(info->number, ++s->ended);
    EXPECT_EQ(info->struct_size, sizeof(loam_cycle_info));
    s->last = *info;
  };
  options.callbacks.data = &seen;
  TestHeap heap(options);
  heap.kept = {loam_alloc_bytes(heap.m(), 100), loam_alloc_bytes(heap.m(), 50)};
  heap.Collect();
  EXPECT_EQ(seen.begun, 1u);
  EXPECT_EQ(seen.last.reason, LOAM_CYCLE_REQUESTED);
  EXPECT_EQ(seen.last.live_objects, 2u);
  EXPECT_GE(seen.last.live_bytes, 150u);
  EXPECT_GE(seen.last.live_bytes_before, seen.last.live_bytes);
  EXPECT_GE(seen.last.pause_ns, seen.last.mark_ns);
  EXPECT_EQ(seen.last.next_trigger_bytes, heap.Stats().trigger_bytes);
  (void)BytesPerCycle(heap, 1);
  EXPECT_EQ(seen.ended, 2u);
  EXPECT_EQ(seen.last.reason, LOAM_CYCLE_TRIGGER);
}

// ---- Statistics -------------------------------------------------------------

TEST(StatsTest, ArePlausible) {
  TestHeap heap;
  const loam_stats empty = heap.Stats();
  EXPECT_EQ(empty.mutators, 1u);
  EXPECT_EQ(empty.cycles, 0u);
  EXPECT_EQ(empty.live_bytes, 0u);
  EXPECT_GT(empty.metadata_bytes, 0u);
  EXPECT_GE(empty.committed_bytes, empty.metadata_bytes);
  for (int i = 0; i < 1000; i++) {
    heap.kept.push_back(loam_alloc_bytes(heap.m(), 1000));
    (void)loam_alloc_bytes(heap.m(), 1000);
  }
  const loam_stats full = heap.Stats();
  EXPECT_GE(full.allocated_bytes, 2000000u);
  EXPECT_LT(full.allocated_bytes, 2200000u);
  EXPECT_GE(full.live_bytes_estimate, 2000000u);
  EXPECT_GE(full.span_bytes, 2000000u);
  EXPECT_GT(full.spans, 100u);
  EXPECT_GE(full.reserved_bytes, full.span_bytes + full.free_page_bytes);
  heap.Collect();
  const loam_stats after = heap.Stats();
  EXPECT_EQ(after.cycles, 1u);
  EXPECT_EQ(after.live_objects, 1000u);
  EXPECT_EQ(after.live_bytes, 1000u * 1024);
  EXPECT_GT(after.swept_bytes, 0u);
  EXPECT_GT(after.total_pause_ns, 0u);
  EXPECT_GE(after.total_pause_ns, after.longest_pause_ns);
  EXPECT_GE(after.longest_pause_ns, after.last_pause_ns);
  EXPECT_GE(after.total_pause_ns, after.total_mark_ns);
  EXPECT_GE(after.peak_committed_bytes, after.committed_bytes);
  EXPECT_EQ(after.committed_bytes,
            after.metadata_bytes + after.span_bytes + after.free_page_bytes);
  heap.kept.clear();
  heap.Collect();
  EXPECT_EQ(heap.Stats().live_objects, 0u);
  EXPECT_GT(heap.Stats().freed_spans, 100u);
  EXPECT_GT(heap.Stats().free_page_bytes, 1000000u);
  EXPECT_GT(loam_heap_release_memory(heap.heap()), 1000000u);
  EXPECT_EQ(heap.Stats().free_page_bytes, 0u);
  EXPECT_LT(heap.Stats().committed_bytes, full.committed_bytes / 2);
  // What was given back is there again when it is needed.
  for (int i = 0; i < 1000; i++) {
    ASSERT_NE(loam_alloc_bytes(heap.m(), 1000), nullptr);
  }
  heap.ExpectSound();
}

// ---- Typed spans ------------------------------------------------------------

TEST(TypedSpansTest, ATypeEarnsThemAndLosesThem) {
  TestHeap heap;
  const loam_type* type = RegisterNode(heap.types());
  const loam_type* rare = RegisterNode(heap.types());
  std::vector<Node*> headed;
  for (uint64_t i = 0; i < 10; i++) {
    headed.push_back(NewNode(heap.m(), type, i));
    heap.kept.push_back(headed.back());
    (void)NewNode(heap.m(), rare, i);
  }
  EXPECT_EQ(heap.Stats().types_with_typed_spans, 0u);
  for (uint64_t i = 0; i < 10000; i++) {
    Node* node = NewNode(heap.m(), type, i);
    if (i % 100 == 0) heap.kept.push_back(node);
  }
  EXPECT_EQ(heap.Stats().types_with_typed_spans, 1u);
  heap.Collect();
  EXPECT_EQ(heap.Stats().types_with_typed_spans, 1u);
  // It has stopped allocating.
  heap.Collect();
  heap.Collect();
  EXPECT_EQ(heap.Stats().types_with_typed_spans, 0u);
  // Objects of both ways live side by side.
  const auto expect_all = [&] {
    EXPECT_EQ(heap.Stats().live_objects, 110u);
    for (void* kept : heap.kept) {
      EXPECT_EQ(loam_type_of(heap.heap(), kept), type);
    }
    for (uint64_t i = 0; i < 10; i++) EXPECT_EQ(headed[i]->number, i);
  };
  expect_all();
  for (uint64_t i = 0; i < 10000; i++) (void)NewNode(heap.m(), type, i);
  EXPECT_EQ(heap.Stats().types_with_typed_spans, 1u);
  heap.Collect();
  expect_all();
}

TEST(TypedSpansTest, HotTypesHaveThemAtOnce) {
  TestHeap heap;
  const loam_type* type = RegisterNode(heap.types(), LOAM_TYPE_HOT);
  EXPECT_EQ(heap.Stats().types_with_typed_spans, 0u);
  void* first = loam_alloc(heap.m(), type);
  EXPECT_EQ(heap.Stats().types_with_typed_spans, 1u);
  // Exact cells: 24 bytes are rounded to 32, and follow each other.
  EXPECT_EQ(loam_object_size(heap.heap(), first), 32u);
  EXPECT_EQ(loam_alloc(heap.m(), type), static_cast<char*>(first) + 32);
}

// ---- Several heaps ----------------------------------------------------------

TEST(SharedTypesTest, OneSetServesManyHeaps) {
  loam_type_set* set = nullptr;
  ASSERT_EQ(loam_type_set_create(&set), LOAM_OK);
  loam_options options = TestOptions();
  options.types = set;
  {
    TestHeap a(options);
    const loam_type* type = RegisterNode(set);
    TestHeap b(options);
    EXPECT_EQ(a.types(), set);
    EXPECT_EQ(b.types(), set);
    for (uint64_t i = 0; i < 5000; i++) {
      Node* in_a = NewNode(a.m(), type, i);
      Node* in_b = NewNode(b.m(), type, i);
      ASSERT_EQ(loam_type_of(a.heap(), in_a), type);
      ASSERT_EQ(loam_type_of(b.heap(), in_b), type);
      ASSERT_EQ(loam_type_of(a.heap(), in_b), nullptr);
      if (i % 50 == 0) a.kept.push_back(in_a);
    }
    a.Collect();
    b.Collect();
    EXPECT_EQ(a.Stats().live_objects, 100u);
    EXPECT_EQ(b.Stats().live_objects, 0u);
  }
  EXPECT_EQ(loam_type_set_destroy(set), LOAM_OK);
}

TEST(VersionTest, HeaderAndLibraryAgree) {
  EXPECT_EQ(loam_version(), (LOAM_VERSION_MAJOR << 16) |
                                (LOAM_VERSION_MINOR << 8) | LOAM_VERSION_PATCH);
  EXPECT_EQ(loam_abi(), static_cast<uint32_t>(LOAM_ABI_VERSION));
  EXPECT_STREQ(loam_status_name(LOAM_WRONG_STATE), "LOAM_WRONG_STATE");
  EXPECT_STREQ(loam_status_name(static_cast<loam_status>(1234)),
               "unknown status");
}

}  // namespace
}  // namespace loam_test
