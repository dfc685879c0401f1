// heap_limit is hard: committed bytes never exceed it, whatever is allocated;
// running into it is a result and no end: after dropping data all goes on.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <csetjmp>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "api/loam.h"
#include "tests/api/test_heap.h"
#include "tests/support/random.h"

namespace loam_test {
namespace {

using testing::HasSubstr;

// Everything that takes memory: allocates one more, or fails. Objects go to
// `kept`.
struct Filler {
  const char* name;
  bool (*fill)(TestHeap* heap, const loam_type* type);
  size_t max_limit_mib;  // small ones take long
  // Records of roots and finalizers are never given back to the OS.
  bool is_object = true;
};

bool Keep(TestHeap* heap, void* object) {
  if (object != nullptr) heap->kept.push_back(object);
  return object != nullptr;
}

const loam_type* hot;
const loam_type* array;
const loam_type* aligned;

const Filler kFillers[] = {
    {"tiny bytes",
     [](TestHeap* h, const loam_type*) {
       return Keep(h, loam_alloc_bytes(h->m(), 7));
     },
     4},
    {"bytes",
     [](TestHeap* h, const loam_type*) {
       return Keep(h, loam_alloc_bytes(h->m(), 100));
     },
     16},
    {"bytes of many sizes",
     [](TestHeap* h, const loam_type*) {
       return Keep(h, loam_alloc_bytes(h->m(), h->kept.size() * 37 % 40000));
     },
     64},
    {"large bytes",
     [](TestHeap* h, const loam_type*) {
       return Keep(h, loam_alloc_bytes(h->m(), 100000));
     },
     64},
    {"slots",
     [](TestHeap* h, const loam_type*) {
       return Keep(h, loam_alloc_slots(h->m(), 10));
     },
     16},
    {"headed and typed objects",
     [](TestHeap* h, const loam_type* type) {
       return Keep(h, loam_alloc(h->m(), type));
     },
     16},
    {"hot objects",
     [](TestHeap* h, const loam_type*) {
       return Keep(h, loam_alloc(h->m(), hot));
     },
     16},
    {"arrays",
     [](TestHeap* h, const loam_type*) {
       return Keep(h, loam_alloc_array(h->m(), array, h->kept.size() % 300));
     },
     64},
    {"large arrays",
     [](TestHeap* h, const loam_type*) {
       return Keep(h, loam_alloc_array(h->m(), array, 10000));
     },
     64},
    {"aligned objects",
     [](TestHeap* h, const loam_type*) {
       return Keep(h, loam_alloc(h->m(), aligned));
     },
     64},
    {"bitmap objects",
     [](TestHeap* h, const loam_type*) {
       const uint64_t bits = 5;
       return Keep(h, loam_alloc_bitmap(h->m(), 64, &bits, nullptr));
     },
     16},
    {"large bitmap objects",
     [](TestHeap* h, const loam_type*) {
       const uint64_t bits[100] = {5};
       return Keep(h, loam_alloc_bitmap(h->m(), 6000, bits, nullptr));
     },
     64},
    {"ambiguous objects",
     [](TestHeap* h, const loam_type*) {
       return Keep(h, loam_alloc_ambiguous(h->m(), 50));
     },
     16},
    {"objects with finalizers",
     [](TestHeap* h, const loam_type* type) {
       void* object = loam_alloc(h->m(), type);
       return Keep(h, object) &&
              loam_finalizer_set(
                  h->m(), object, [](loam_mutator*, void*, void*) {}, nullptr,
                  LOAM_FINALIZER_ORDERED) == LOAM_OK;
     },
     16},
    {"immortal objects",
     [](TestHeap* h, const loam_type* type) {
       return loam_alloc_immortal(h->m(), type) != nullptr;
     },
     4, false},
    {"globals",
     [](TestHeap* h, const loam_type*) {
       loam_global* global;
       return loam_global_create(h->heap(), LOAM_POINTER, 0, &global) ==
              LOAM_OK;
     },
     4, false},
    {"registered roots",
     [](TestHeap* h, const loam_type*) {
       static loam_word word;
       loam_root* root;
       return loam_root_add(h->heap(), &word, LOAM_VALUE, nullptr, &root) ==
              LOAM_OK;
     },
     4, false},
    {"handles",
     [](TestHeap* h, const loam_type*) {
       return loam_handle_pointer(h->m(), nullptr) != nullptr;
     },
     4, false},
    {"fibers",
     [](TestHeap* h, const loam_type*) {
       loam_fiber* fiber;
       return loam_fiber_create(h->heap(), nullptr, &fiber) == LOAM_OK;
     },
     4, false},
};

class HeapLimitTest : public testing::TestWithParam<Filler> {
 protected:
  static void RegisterTypes(const TestHeap& heap) {
    hot = RegisterNode(heap.types(), LOAM_TYPE_HOT);
    array = RegisterType(heap.types(), "array", 8, {}, 0, 24,
                         {{"value", 8, 1, LOAM_VALUE}});
    loam_type_info info = LOAM_TYPE_INFO_INIT;
    info.size = 700;
    info.alignment = 1024;
    ASSERT_EQ(loam_type_register(heap.types(), &info, &aligned), LOAM_OK);
  }
};

TEST_P(HeapLimitTest, IsNeverExceeded) {
  const Filler& filler = GetParam();
  for (const size_t mib : {1, 2, 3, 7, 16, 64}) {
    if (mib > filler.max_limit_mib) continue;
    SCOPED_TRACE(std::to_string(mib) + " MiB");
    loam_options options = TestOptions();
    options.heap_limit = mib << 20;
    TestHeap heap(options);
    RegisterTypes(heap);
    const loam_type* node = RegisterNode(heap.types());
    std::atomic<bool> done = false;
    std::atomic<uint64_t> seen = 0;
    std::thread sampler([&] {
      while (!done.load(std::memory_order_relaxed)) {
        const uint64_t now = heap.Stats().committed_bytes;
        if (now > seen.load()) seen.store(now);
        std::this_thread::yield();
      }
    });
    size_t first_round = 0;
    for (int round = 0; round < 3; round++) {
      size_t count = 0;
      while (filler.fill(&heap, node)) count++;
      if (filler.is_object) {
        EXPECT_THAT(std::string(loam_heap_last_error(heap.heap())),
                    testing::ContainsRegex("out of memory|no memory"));
      }
      EXPECT_LE(heap.Stats().committed_bytes, options.heap_limit);
      EXPECT_GT(count, 0u);
      if (round == 0) first_round = count;
      heap.kept.clear();
      heap.Collect();
      size_t ran = 0;
      EXPECT_EQ(loam_finalizers_run(heap.m(), 0, &ran, nullptr), LOAM_OK);
      heap.Collect();
      heap.ExpectSound();
      if (!filler.is_object) break;
      // All of it comes back: nothing is lost from round to round.
      EXPECT_GE(count + count / 10 + 2, first_round) << "round " << round;
    }
    done.store(true);
    sampler.join();
    EXPECT_LE(seen.load(), options.heap_limit);
    EXPECT_LE(heap.Stats().peak_committed_bytes, options.heap_limit);
  }
}

INSTANTIATE_TEST_SUITE_P(Fillers, HeapLimitTest, testing::ValuesIn(kFillers),
                         [](const auto& info) {
                           std::string name = info.param.name;
                           for (char& c : name) {
                             if (c == ' ') c = '_';
                           }
                           return name;
                         });

// One kind after another, each taking over what the one before gave up.
TEST(HeapLimitMixedTest, MemoryMovesBetweenKinds) {
  loam_options options = TestOptions();
  options.heap_limit = 8 << 20;
  TestHeap heap(options);
  const loam_type* node = RegisterNode(heap.types());
  hot = RegisterNode(heap.types(), LOAM_TYPE_HOT);
  array = RegisterType(heap.types(), "array", 8, {}, 0, 24,
                       {{"value", 8, 1, LOAM_VALUE}});
  loam_type_info info = LOAM_TYPE_INFO_INIT;
  info.size = 700;
  info.alignment = 1024;
  ASSERT_EQ(loam_type_register(heap.types(), &info, &aligned), LOAM_OK);
  for (int round = 0; round < 3; round++) {
    for (const Filler& filler : kFillers) {
      if (!filler.is_object) continue;
      SCOPED_TRACE(filler.name);
      const uint64_t before = heap.Stats().allocated_bytes;
      while (filler.fill(&heap, node)) {
      }
      const uint64_t filled = heap.Stats().allocated_bytes - before;
      // Records of finalizers take their part.
      EXPECT_GT(filled, 2u << 20);
      heap.kept.clear();
      heap.Collect();
      EXPECT_EQ(loam_finalizers_run(heap.m(), 0, nullptr, nullptr), LOAM_OK);
      EXPECT_LE(heap.Stats().peak_committed_bytes, options.heap_limit);
    }
  }
  heap.ExpectSound();
}

// ---- The out-of-memory callback ---------------------------------------------

struct OutOfMemory {
  TestHeap* heap = nullptr;
  int calls = 0;
  int free_on_call = 1;
  size_t requested = 0;
  jmp_buf* leave = nullptr;
};

int OnOutOfMemory(loam_heap* heap, size_t requested, void* data) {
  auto* state = static_cast<OutOfMemory*>(data);
  EXPECT_EQ(heap, state->heap->heap());
  state->calls++;
  state->requested = requested;
  if (state->leave != nullptr) longjmp(*state->leave, 1);
  if (state->calls != state->free_on_call) return 0;
  state->heap->kept.clear();
  return 1;
}

loam_options OutOfMemoryOptions(OutOfMemory* state) {
  loam_options options = TestOptions();
  options.heap_limit = 4 << 20;
  options.callbacks.out_of_memory = OnOutOfMemory;
  options.callbacks.data = state;
  return options;
}

TEST(OutOfMemoryTest, TheCallbackFreesSomethingAndAsksAgain) {
  OutOfMemory state;
  TestHeap heap(OutOfMemoryOptions(&state));
  state.heap = &heap;
  while (state.calls == 0) {
    ASSERT_TRUE(Keep(&heap, loam_alloc_bytes(heap.m(), 5000)));
  }
  EXPECT_GE(state.requested, 5000u);
  EXPECT_EQ(heap.kept.size(), 1u);
  // The second time it has nothing to give.
  while (void* p = loam_alloc_bytes(heap.m(), 5000)) heap.kept.push_back(p);
  EXPECT_EQ(state.calls, 2);
  EXPECT_THAT(std::string(loam_heap_last_error(heap.heap())),
              HasSubstr("out of memory"));
}

// Not in one frame with objects that have destructors, since longjmp skips
// them.
void FillAndLeave(TestHeap* heap, jmp_buf* leave, loam_unwind_point* point) {
  loam_unwind_save(heap->m(), point);
  if (setjmp(*leave) == 0) {
    LOAM_FRAME(heap->m(), f, 1, LOAM_POINTER);
    loam_handle_scope scope;
    loam_handle_scope_open(heap->m(), &scope);
    f.slots[0] = reinterpret_cast<loam_word>(loam_alloc_bytes(heap->m(), 20));
    loam_gc_disable(heap->m());
    loam_gc_enable(heap->m());
    for (;;) {
      void* p = loam_alloc_bytes(heap->m(), 4000);
      loam_handle_pointer(heap->m(), p);
    }
  }
  loam_unwind_to(heap->m(), point);
}

TEST(OutOfMemoryTest, TheThreadIsToldToo) {
  loam_options options = TestOptions();
  options.heap_limit = 1 << 20;
  TestHeap heap(options);
  EXPECT_EQ(loam_alloc_bytes(heap.m(), 10 << 20), nullptr);
  EXPECT_THAT(std::string(loam_last_error()), HasSubstr("out of memory"));
}

TEST(OutOfMemoryTest, TheCallbackMayLeaveByLongjmp) {
  OutOfMemory state;
  TestHeap heap(OutOfMemoryOptions(&state));
  state.heap = &heap;
  jmp_buf leave;
  state.leave = &leave;
  for (int i = 0; i < 300; i++) {
    loam_unwind_point point;
    FillAndLeave(&heap, &leave, &point);
  }
  EXPECT_EQ(state.calls, 300);
  // Frames and handles are gone, so what they held is too.
  heap.Collect();
  EXPECT_LT(heap.Stats().live_bytes, 100000u);
  heap.ExpectSound();
}

void LeaveFromImmortal(TestHeap* heap, const loam_type* type, jmp_buf* leave,
                       loam_unwind_point* point) {
  loam_unwind_save(heap->m(), point);
  if (setjmp(*leave) == 0) {
    while (loam_alloc_immortal(heap->m(), type) != nullptr) {
    }
  }
  loam_unwind_to(heap->m(), point);
}

TEST(OutOfMemoryTest, LeavingAllocImmortalByLongjmpLosesNothing) {
  OutOfMemory state;
  TestHeap heap(OutOfMemoryOptions(&state));
  state.heap = &heap;
  const loam_type* type = RegisterType(heap.types(), "bytes", 1000);
  jmp_buf leave;
  state.leave = &leave;
  for (int i = 0; i < 600; i++) {
    loam_unwind_point point;
    LeaveFromImmortal(&heap, type, &leave, &point);
  }
  EXPECT_EQ(state.calls, 600) << loam_last_error();
  // With room again, there is no reason to fail.
  EXPECT_EQ(loam_heap_set_heap_limit(heap.heap(), 0), LOAM_OK);
  state.leave = nullptr;
  EXPECT_NE(loam_alloc_immortal(heap.m(), type), nullptr) << loam_last_error();
}

// ---- The other limits -------------------------------------------------------

TEST(LimitTest, DisabledCollectionsLetAllocationReachTheLimit) {
  loam_options options = TestOptions();
  options.heap_limit = 8 << 20;
  TestHeap heap(options);
  loam_gc_disable(heap.m());
  loam_gc_disable(heap.m());
  size_t count = 0;
  while (loam_alloc_bytes(heap.m(), 1000) != nullptr) count++;
  EXPECT_GT(count, 6000u);
  EXPECT_EQ(heap.Stats().cycles, 0u);
  EXPECT_EQ(loam_gc_enable(heap.m()), LOAM_OK);
  EXPECT_EQ(loam_alloc_bytes(heap.m(), 1000), nullptr);
  EXPECT_EQ(loam_gc_enable(heap.m()), LOAM_OK);
  // All of it was garbage.
  EXPECT_NE(loam_alloc_bytes(heap.m(), 1000), nullptr);
  EXPECT_GT(heap.Stats().cycles, 0u);
}

TEST(LimitTest, LoweringTheLimitTakesMemoryBack) {
  TestHeap heap;
  for (int i = 0; i < 100; i++) {
    ASSERT_TRUE(Keep(&heap, loam_alloc_bytes(heap.m(), 100000)));
  }
  ASSERT_EQ(loam_heap_set_heap_limit(heap.heap(), 4 << 20), LOAM_OK);
  const uint64_t before = heap.Stats().committed_bytes;
  EXPECT_GT(before, 10u << 20);
  EXPECT_EQ(loam_alloc_bytes(heap.m(), 100000), nullptr);
  EXPECT_LE(heap.Stats().committed_bytes, before);
  heap.kept.clear();
  heap.Collect();
  EXPECT_NE(loam_alloc_bytes(heap.m(), 100000), nullptr);
  EXPECT_LE(heap.Stats().committed_bytes, 4u << 20);
}

TEST(LimitTest, AFixedHeapStaysFixed) {
  loam_options options = TestOptions();
  options.policy = LOAM_POLICY_FIXED;
  options.fixed_heap_size = 8 << 20;
  TestHeap heap(options);
  // Garbage passes through it.
  for (int i = 0; i < 100000; i++) {
    ASSERT_NE(loam_alloc_bytes(heap.m(), 1000), nullptr) << i;
  }
  EXPECT_GT(heap.Stats().cycles, 5u);
  EXPECT_LE(heap.Stats().span_bytes, options.fixed_heap_size);
  // Live data fills it.
  size_t bytes = 0;
  while (Keep(&heap, loam_alloc_bytes(heap.m(), 1000))) bytes += 1000;
  EXPECT_GT(bytes, 6u << 20);
  EXPECT_LE(bytes, 8u << 20);
  EXPECT_LE(heap.Stats().span_bytes, options.fixed_heap_size);
  ASSERT_EQ(loam_heap_set_fixed_size(heap.heap(), 16 << 20), LOAM_OK);
  EXPECT_TRUE(Keep(&heap, loam_alloc_bytes(heap.m(), 1000)));
}

// Large objects of many sizes leave free pages in pieces too small for the
// next: the heap collects, and gives such pages back, before it takes more.
TEST(LimitTest, AFixedHeapDoesNotGrowByItsHoles) {
  constexpr uint64_t kFixed = 16 << 20;
  loam_options options = TestOptions();
  options.policy = LOAM_POLICY_FIXED;
  options.fixed_heap_size = kFixed;
  TestHeap heap(options);
  heap.kept.resize(8);
  Random random(11);
  const auto may_be_committed = [&] {
    const loam_stats stats = heap.Stats();
    return kFixed + stats.metadata_bytes;
  };
  for (int i = 0; i < 4000; i++) {
    const size_t bytes = random.Between(64 << 10, 1 << 20);
    void* const object = i % 3 == 0 ? loam_try_alloc_bytes(heap.m(), bytes)
                                    : loam_alloc_bytes(heap.m(), bytes);
    if (i % 3 != 0) {
      ASSERT_NE(object, nullptr) << i;
    }
    if (object != nullptr && random.OneIn(4))
      heap.kept[random.Below(8)] = object;
    ASSERT_LE(heap.Stats().committed_bytes, may_be_committed()) << i;
  }
  // Holes of 1 MiB are no place for 2 MiB; what never collects finds it too.
  heap.kept.clear();
  heap.Collect();
  std::vector<void*> blocks;
  while (void* const block = loam_try_alloc_bytes(heap.m(), 1 << 20)) {
    blocks.push_back(block);
  }
  ASSERT_GE(blocks.size(), 12u);
  for (size_t i = 0; i < blocks.size(); i += 2) heap.kept.push_back(blocks[i]);
  heap.Collect();
  EXPECT_NE(loam_try_alloc_bytes(heap.m(), 2 << 20), nullptr);
  EXPECT_LE(heap.Stats().committed_bytes, may_be_committed());
}

TEST(LimitTest, TheMemoryLimitIsSoft) {
  loam_options options = TestOptions();
  options.memory_limit = 24 << 20;
  options.gc_percent = 1000;
  TestHeap heap(options);
  for (int i = 0; i < 80; i++) {
    ASSERT_TRUE(Keep(&heap, loam_alloc_bytes(heap.m(), 100000)));
  }
  // 8 MB alive; a growth by 1000 % would commit 88 MB.
  for (int i = 0; i < 200000; i++) {
    ASSERT_NE(loam_alloc_bytes(heap.m(), 1000), nullptr);
  }
  EXPECT_LE(heap.Stats().peak_committed_bytes, options.memory_limit);
  EXPECT_GT(heap.Stats().cycles, 5u);
  // More live data than the limit: it gives way.
  for (int i = 0; i < 300; i++) {
    ASSERT_TRUE(Keep(&heap, loam_alloc_bytes(heap.m(), 100000)));
  }
  EXPECT_GT(heap.Stats().committed_bytes, options.memory_limit);
}

}  // namespace
}  // namespace loam_test
