// Misuse that no status can answer: a clear message, then the end.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csetjmp>
#include <csignal>
#include <string>
#include <thread>

#include "api/loam.h"
#include "tests/api/test_heap.h"

namespace loam_test {
namespace {

class FatalTest : public testing::Test {
 protected:
  FatalTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

// The heaps below are made inside the statements: a child starts from nothing.
loam_options Checking(void (*set)(loam_check_options* check)) {
  loam_options options = TestOptions();
  set(&options.check);
  return options;
}

// ---- No mutator -------------------------------------------------------------

struct Call {
  const char* name;
  void (*call)();
};

loam_word word;
loam_root* root;

const Call kCallsWithoutMutator[] = {
    {"loam_alloc", [] { (void)(loam_alloc)(nullptr, nullptr); }},
    {"loam_alloc_array", [] { (void)loam_alloc_array(nullptr, nullptr, 1); }},
    {"loam_alloc_bytes", [] { (void)loam_alloc_bytes(nullptr, 1); }},
    {"loam_alloc_slots", [] { (void)loam_alloc_slots(nullptr, 1); }},
    {"loam_alloc_bitmap",
     [] { (void)loam_alloc_bitmap(nullptr, 8, nullptr, nullptr); }},
    {"loam_alloc_ambiguous", [] { (void)loam_alloc_ambiguous(nullptr, 1); }},
    {"loam_alloc_immortal",
     [] { (void)loam_alloc_immortal(nullptr, nullptr); }},
    {"loam_try_alloc", [] { (void)loam_try_alloc(nullptr, nullptr); }},
    {"loam_try_alloc_array",
     [] { (void)loam_try_alloc_array(nullptr, nullptr, 1); }},
    {"loam_try_alloc_bytes", [] { (void)loam_try_alloc_bytes(nullptr, 1); }},
    {"loam_try_alloc_slots", [] { (void)loam_try_alloc_slots(nullptr, 1); }},
    {"loam_resize_bytes",
     [] { (void)loam_resize_bytes(nullptr, nullptr, 0, 1); }},
    {"loam_safepoint", [] { (loam_safepoint)(nullptr); }},
    {"loam_enter_native", [] { loam_enter_native(nullptr); }},
    {"loam_stop_the_world", [] { (void)loam_stop_the_world(nullptr); }},
    {"loam_start_the_world", [] { (void)loam_start_the_world(nullptr); }},
    {"loam_store_value", [] { (loam_store_value)(nullptr, &word, &word, 0); }},
    {"loam_store_pointer",
     [] { (loam_store_pointer)(nullptr, &word, &word, nullptr); }},
    {"loam_store_value_init",
     [] { (loam_store_value_init)(nullptr, &word, &word, 0); }},
    {"loam_exchange_value",
     [] { (void)loam_exchange_value(nullptr, &word, &word, 0); }},
    {"loam_compare_exchange_value",
     [] {
       (void)loam_compare_exchange_value(nullptr, &word, &word, &word, 0);
     }},
    {"loam_copy_slots",
     [] { loam_copy_slots(nullptr, &word, &word, &word, 1); }},
    {"loam_clear_slots", [] { loam_clear_slots(nullptr, &word, &word, 1); }},
    {"loam_root_store_value", [] { loam_root_store_value(nullptr, &word, 0); }},
    {"loam_collect", [] { (void)loam_collect(nullptr, LOAM_COLLECT_FULL); }},
    {"loam_gc_disable", [] { loam_gc_disable(nullptr); }},
    {"loam_gc_enable", [] { (void)loam_gc_enable(nullptr); }},
    {"loam_external_adjust", [] { loam_external_adjust(nullptr, 1); }},
    {"loam_finalizer_set",
     [] {
       (void)loam_finalizer_set(nullptr, &word, nullptr, nullptr,
                                LOAM_FINALIZER_ORDERED);
     }},
    {"loam_finalizer_clear",
     [] { (void)loam_finalizer_clear(nullptr, &word); }},
    {"loam_finalizers_run",
     [] { (void)loam_finalizers_run(nullptr, 0, nullptr, nullptr); }},
    {"loam_fork_prepare", [] { (void)loam_fork_prepare(nullptr); }},
    {"loam_heap_walk", [] { (void)loam_heap_walk(nullptr, nullptr, nullptr); }},
    {"loam_heap_map_write",
     [] { (void)loam_heap_map_write(nullptr, "unused.html"); }},
    {"loam_heap_snapshot_write",
     [] { (void)loam_heap_snapshot_write(nullptr, "unused.heapsnapshot"); }},
    {"loam_find_path",
     [] { (void)loam_find_path(nullptr, &root, nullptr, nullptr); }},
    {"loam_heap_check",
     [] { (void)loam_heap_check(nullptr, LOAM_CHECK_FULL, nullptr, nullptr); }},
    {"loam_mutator_root_provider_add",
     [] {
       (void)loam_mutator_root_provider_add(nullptr, nullptr, nullptr, nullptr,
                                            &root);
     }},
    {"loam_fiber_switch", [] { loam_fiber_switch(nullptr, nullptr); }},
    {"loam_handle_value", [] { (void)loam_handle_value(nullptr, 0); }},
};

// One process for each, but one test: most of the time goes into starting it.
TEST_F(FatalTest, AThreadThatNeverAttachedIsToldSo) {
  for (const Call& each : kCallsWithoutMutator) {
    SCOPED_TRACE(each.name);
    EXPECT_DEATH(each.call(),
                 "loam: misuse of the API: loam_[a-z_]+: m is "
                 "NULL");
  }
  EXPECT_DEATH((void)loam_alloc_bytes(nullptr, 1), "loam_mutator_attach");
}

// ---- Arguments --------------------------------------------------------------

TEST_F(FatalTest, StoresThroughNullAreCaught) {
  const auto store = [](void* object, void* slot, bool inlined) {
    TestHeap heap(Checking([](loam_check_options* c) { c->check_stores = 1; }));
    if (inlined) {
      loam_store_value(heap.m(), object, slot, 8);
    } else {
      (loam_store_value)(heap.m(), object, slot, 8);
    }
  };
  EXPECT_DEATH(store(nullptr, &word, false),
               "misuse of the API: loam_store_value: object is NULL");
  EXPECT_DEATH(store(&word, nullptr, false),
               "misuse of the API: loam_store_value: slot is NULL");
  EXPECT_DEATH(store(nullptr, &word, true),
               "misuse of the API: loam_store_.: object is NULL");
  EXPECT_DEATH(store(&word, nullptr, true),
               "misuse of the API: loam_store_.: slot is NULL");
}

// Functions that no fast path stands for: at all times, not only when checking.
TEST_F(FatalTest, NullIsCaughtWithoutChecking) {
  const auto run = [](void (*call)(loam_mutator* m, loam_word* slots)) {
    TestHeap heap;
    auto* slots = static_cast<loam_word*>(loam_alloc_slots(heap.m(), 4));
    call(heap.m(), slots);
  };
  using Slots = loam_word*;
  EXPECT_DEATH(run([](loam_mutator* m, Slots) {
                 (loam_store_value)(m, nullptr, &word, 8);
               }),
               "loam_store_value: object is NULL");
  EXPECT_DEATH(run([](loam_mutator* m, Slots s) {
                 (void)loam_exchange_value(m, s, nullptr, 8);
               }),
               "loam_exchange_value: slot is NULL");
  EXPECT_DEATH(run([](loam_mutator* m, Slots s) {
                 loam_word expected = 0;
                 (void)loam_compare_exchange_value(m, nullptr, s, &expected, 8);
               }),
               "loam_compare_exchange_value: object is NULL");
  EXPECT_DEATH(run([](loam_mutator* m, Slots s) {
                 (void)loam_compare_exchange_value(m, s, s, nullptr, 8);
               }),
               "loam_compare_exchange_value: expected is NULL");
  EXPECT_DEATH(run([](loam_mutator* m, Slots s) {
                 (void)loam_compare_exchange_pointer(m, s, s, nullptr, nullptr);
               }),
               "loam_compare_exchange_pointer: expected is NULL");
  EXPECT_DEATH(run([](loam_mutator* m, Slots s) {
                 loam_copy_slots(m, s, nullptr, s, 2);
               }),
               "loam_copy_slots: slot is NULL");
  EXPECT_DEATH(run([](loam_mutator* m, Slots s) {
                 loam_copy_slots(m, s, s, nullptr, 2);
               }),
               "loam_copy_slots: source is NULL");
  EXPECT_DEATH(run([](loam_mutator* m, Slots) {
                 loam_clear_slots(m, nullptr, nullptr, 2);
               }),
               "loam_clear_slots: object is NULL");
}

TEST_F(FatalTest, WrongBuffersAndBitmapsAreCaught) {
  const auto resize = [] {
    TestHeap heap;
    auto* buffer = static_cast<char*>(loam_alloc_bytes(heap.m(), 64));
    (void)loam_resize_bytes(heap.m(), buffer + 32, 32, 64);
  };
  EXPECT_DEATH(resize(), "loam_resize_bytes: buffer: .* lies inside");
  const auto overlap = [] {
    TestHeap heap;
    const uint64_t pointers[] = {0, 5};
    const uint64_t values[] = {~uint64_t{0}, 4};
    (void)loam_alloc_bitmap(heap.m(), 70 * 8, pointers, values);
  };
  EXPECT_DEATH(overlap(),
               "loam_alloc_bitmap: value_bits: word 66 is in pointer_bits too");
}

TEST_F(FatalTest, ACallThatCannotReturnToTheHeapIsNamed) {
  const auto run = [] {
    TestHeap heap;
    loam_call_native(
        heap.m(),
        [](void* data) {
          loam_mutator* other = nullptr;
          (void)loam_mutator_attach(static_cast<loam_heap*>(data), "other",
                                    &other);
        },
        heap.heap());
  };
  EXPECT_DEATH(run(), "loam_call_native: fn: after it, .*mutator 'other'");
}

TEST_F(FatalTest, StoresOutsideTheObjectAreCaught) {
  const auto store = [](size_t offset) {
    TestHeap heap(Checking([](loam_check_options* c) { c->check_stores = 1; }));
    void* slots = loam_alloc_slots(heap.m(), 4);
    loam_store_value(heap.m(), slots, static_cast<char*>(slots) + offset, 8);
  };
  EXPECT_DEATH(store(800), "loam_store_.: slot: .* lies outside the object");
  EXPECT_DEATH(store(4), "loam_store_.: slot: .* is not a multiple of 8");
  const auto store_into_bytes = [] {
    TestHeap heap(Checking([](loam_check_options* c) { c->check_stores = 1; }));
    void* bytes = loam_alloc_bytes(heap.m(), 32);
    loam_store_value(heap.m(), bytes, bytes, 8);
  };
  EXPECT_DEATH(store_into_bytes(), "loam_store_.: slot: .* has no slots");
}

TEST_F(FatalTest, WrongTypesAreCaught) {
  const auto no_type = [] {
    TestHeap heap;
    (void)(loam_alloc)(heap.m(), nullptr);
  };
  EXPECT_DEATH(no_type(), "misuse of the API: loam_alloc: type is NULL");
  const auto no_array = [] {
    TestHeap heap;
    (void)loam_alloc_array(heap.m(), RegisterNode(heap.types()), 3);
  };
  EXPECT_DEATH(no_array(),
               "loam_alloc_array: count: type 'node' has no "
               "trailing array");
  const auto other_set = [] {
    TestHeap heap(Checking([](loam_check_options* c) { c->check_stores = 1; }));
    TestHeap other;
    (void)loam_alloc(heap.m(), RegisterNode(other.types()));
  };
  EXPECT_DEATH(other_set(),
               "loam_alloc: type: 'node' belongs to another type "
               "set than the heap 'test'");
}

TEST_F(FatalTest, OtherArguments) {
  const auto user_word = [] {
    TestHeap heap;
    (void)loam_mutator_user_word(heap.m(), 4);
  };
  EXPECT_DEATH(user_word(), "loam_mutator_user_word: index: 4");
  EXPECT_DEATH((void)loam_heap_types(nullptr), "loam_heap_types: heap is NULL");
  EXPECT_DEATH((void)loam_type_name(nullptr), "loam_type_name: type is NULL");
  EXPECT_DEATH((void)loam_object_base(nullptr, &word),
               "loam_object_base: heap is NULL");
  EXPECT_DEATH(loam_handle_scope_close(nullptr),
               "loam_handle_scope_close: scope is NULL");
  EXPECT_DEATH(loam_store_weak(nullptr, &word, &word, 0),
               "loam_store_weak: m is NULL");
  EXPECT_DEATH((void)loam_load_weak(nullptr, &word, &word),
               "loam_load_weak: m is NULL");
}

// ---- Fibers and unwinding ---------------------------------------------------

TEST_F(FatalTest, AFiberRunsOnOneMutator) {
  const auto two_mutators = [] {
    TestHeap heap;
    loam_fiber* fiber;
    (void)loam_fiber_create(heap.heap(), nullptr, &fiber);
    loam_fiber_switch(heap.m(), fiber);
    loam_enter_native(heap.m());
    std::thread([&] {
      loam_mutator* m;
      (void)loam_mutator_attach(heap.heap(), "other", &m);
      loam_fiber_switch(m, fiber);
    }).join();
  };
  EXPECT_DEATH(two_mutators(),
               "loam_fiber_switch: fiber: is current on another mutator");
  const auto destroyed = [] {
    TestHeap heap;
    loam_fiber* fiber;
    (void)loam_fiber_create(heap.heap(), nullptr, &fiber);
    (void)loam_fiber_destroy(fiber);
    loam_fiber_switch(heap.m(), fiber);
  };
  EXPECT_DEATH(destroyed(), "loam_fiber_switch: fiber: is destroyed");
  const auto another_heap = [] {
    TestHeap heap;
    TestHeap other;
    loam_fiber* fiber;
    (void)loam_fiber_create(other.heap(), nullptr, &fiber);
    loam_fiber_switch(heap.m(), fiber);
  };
  EXPECT_DEATH(another_heap(), "loam_fiber_switch: fiber: .*another heap");
}

TEST_F(FatalTest, UnwindingStaysOnItsFiber) {
  const auto unwind = [] {
    TestHeap heap;
    loam_unwind_point point;
    loam_unwind_save(heap.m(), &point);
    loam_fiber* fiber;
    (void)loam_fiber_create(heap.heap(), nullptr, &fiber);
    loam_fiber_switch(heap.m(), fiber);
    loam_unwind_to(heap.m(), &point);
  };
  EXPECT_DEATH(unwind(), "loam_unwind_to: point: .*fiber");
}

// ---- Threads ----------------------------------------------------------------

loam_options CheckThreads() {
  return Checking([](loam_check_options* c) { c->check_threads = 1; });
}

TEST_F(FatalTest, AMutatorUsedOnTwoThreadsIsNamed) {
  const auto allocate = [] {
    TestHeap heap(CheckThreads());
    std::thread([&] { (void)loam_alloc_bytes(heap.m(), 10); }).join();
  };
  EXPECT_DEATH(allocate(),
               "m: mutator 'main' is used by a thread that is not "
               "its own");
  const auto allocate_inline = [] {
    TestHeap heap(CheckThreads());
    const loam_type* type = RegisterNode(heap.types(), LOAM_TYPE_HOT);
    (void)loam_alloc(heap.m(), type);
    std::thread([&] { (void)loam_alloc(heap.m(), type); }).join();
  };
  EXPECT_DEATH(allocate_inline(),
               "mutator 'main' is used by a thread that is "
               "not its own");
  const auto poll_inline = [] {
    TestHeap heap(CheckThreads());
    std::thread([&] { loam_safepoint(heap.m()); }).join();
  };
  EXPECT_DEATH(poll_inline(), "loam_safepoint: m: mutator 'main'");
  const auto store_inline = [] {
    TestHeap heap(CheckThreads());
    std::thread([&] { loam_store_value(heap.m(), &word, &word, 8); }).join();
  };
  EXPECT_DEATH(store_inline(), "loam_store_.: m: mutator 'main'");
  const auto enter_native = [] {
    TestHeap heap(CheckThreads());
    std::thread([&] { loam_enter_native(heap.m()); }).join();
  };
  EXPECT_DEATH(enter_native(), "loam_enter_native: m: mutator 'main'");
  const auto handle = [] {
    TestHeap heap(CheckThreads());
    std::thread([&] { (void)loam_handle_value(heap.m(), 8); }).join();
  };
  EXPECT_DEATH(handle(), "loam_handle_value: m: mutator 'main'");
}

TEST_F(FatalTest, AMutatorInNativeStateIsNotUsed) {
  const auto allocate = [] {
    TestHeap heap(CheckThreads());
    loam_enter_native(heap.m());
    (void)loam_alloc_bytes(heap.m(), 10);
  };
  EXPECT_DEATH(allocate(), "mutator 'main' is in native state");
}

TEST_F(FatalTest, AThreadThatEndsAttachedIsNamed) {
  const auto end = [] {
    TestHeap heap(CheckThreads());
    loam_enter_native(heap.m());
    std::thread([&] {
      loam_mutator* m;
      (void)loam_mutator_attach(heap.heap(), "forgetful", &m);
    }).join();
  };
  EXPECT_DEATH(end(),
               "a thread ended while its mutator 'forgetful' was "
               "attached");
}

// ---- How the end is told ----------------------------------------------------

TEST_F(FatalTest, MisuseCanBeMadeFatal) {
  const auto unbalanced = [] {
    TestHeap heap(
        Checking([](loam_check_options* c) { c->abort_on_misuse = 1; }));
    (void)loam_gc_enable(heap.m());
  };
  EXPECT_DEATH(unbalanced(),
               "misuse of the API: loam_gc_enable: m: this "
               "mutator has not disabled collections");
  const auto fiber_in_use = [] {
    TestHeap heap(
        Checking([](loam_check_options* c) { c->abort_on_misuse = 1; }));
    loam_fiber* fiber = nullptr;
    (void)loam_fiber_create(heap.heap(), nullptr, &fiber);
    loam_fiber_switch(heap.m(), fiber);
    (void)loam_fiber_destroy(fiber);
  };
  EXPECT_DEATH(fiber_in_use(), "loam_fiber_destroy: fiber: is current");
  // Out of memory and "not found" are no misuse.
  TestHeap heap(
      Checking([](loam_check_options* c) { c->abort_on_misuse = 1; }));
  EXPECT_EQ(loam_alloc_slots(heap.m(), SIZE_MAX), nullptr);
  heap.kept = {loam_alloc_bytes(heap.m(), 16)};
  EXPECT_EQ(loam_finalizer_clear(heap.m(), heap.kept[0]), LOAM_NOT_FOUND);
}

TEST_F(FatalTest, TheCallbackHearsOfItAndTheStateIsPrinted) {
  const auto fail = [] {
    loam_options options =
        Checking([](loam_check_options* c) { c->check_stores = 1; });
    options.name = "told";
    options.callbacks.fatal = [](loam_heap*, const char* message, void* data) {
      fprintf(stderr, "%s heard: %s\n", static_cast<const char*>(data),
              message);
    };
    static char listener[] = "listener";
    options.callbacks.data = listener;
    TestHeap heap(options);
    loam_store_value(heap.m(), nullptr, &word, 8);
  };
  EXPECT_EXIT(fail(), testing::KilledBySignal(SIGABRT),
              "misuse of the API: loam_store_.: object is NULL(.|\n)*"
              "heap 'told': cycle(.|\n)*committed(.|\n)*"
              "listener heard: loam_store_.: object is NULL");
}

// A heap that was left by longjmp and destroyed is not asked for its state.
TEST_F(FatalTest, AHeapThatIsGoneIsNotReported) {
  const auto fail = [] {
    static jmp_buf leave;
    {
      loam_options options = TestOptions();
      options.heap_limit = 1 << 20;
      options.callbacks.out_of_memory = [](loam_heap*, size_t, void*) -> int {
        longjmp(leave, 1);
      };
      TestHeap heap(options);
      loam_unwind_point point;
      loam_unwind_save(heap.m(), &point);
      if (setjmp(leave) == 0) {
        for (;;)
          (void)loam_handle_pointer(heap.m(), loam_alloc_bytes(heap.m(), 5000));
      }
      loam_unwind_to(heap.m(), &point);
    }
    (void)loam_alloc_bytes(nullptr, 1);
  };
  EXPECT_EXIT(fail(), testing::KilledBySignal(SIGABRT), "m is NULL");
}

}  // namespace
}  // namespace loam_test
