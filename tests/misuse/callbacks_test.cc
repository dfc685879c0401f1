// Exceptions must not leave the embedder's callbacks: they would cross frames
// that hold locks. Each ends in a message that names the callback.

#include <gtest/gtest.h>

#include <stdexcept>

#include "api/loam.h"
#include "tests/api/test_heap.h"

namespace loam_test {
namespace {

class CallbackTest : public testing::Test {
 protected:
  CallbackTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

[[noreturn]] void Throw() { throw std::runtime_error("unexpected guest"); }

// ---- Options' callbacks -----------------------------------------------------

TEST_F(CallbackTest, OutOfMemory) {
  const auto run = [] {
    loam_options options = TestOptions();
    options.heap_limit = 1 << 20;
    options.callbacks.out_of_memory = [](loam_heap*, size_t, void*) -> int {
      Throw();
    };
    TestHeap heap(options);
    (void)loam_alloc_bytes(heap.m(), 10 << 20);
  };
  EXPECT_DEATH(run(),
               "misuse of the API: an exception left the out-of-memory "
               "callback: unexpected guest");
}

TEST_F(CallbackTest, CycleBegin) {
  const auto run = [] {
    loam_options options = TestOptions();
    options.callbacks.cycle_begin = [](loam_heap*, const loam_cycle_info*,
                                       void*) { Throw(); };
    TestHeap heap(options);
    heap.Collect();
  };
  EXPECT_DEATH(run(), "an exception left the cycle-begin callback: unexpected");
}

TEST_F(CallbackTest, CycleEnd) {
  const auto run = [] {
    loam_options options = TestOptions();
    options.callbacks.cycle_end = [](loam_heap*, const loam_cycle_info*,
                                     void*) { throw 7; };
    TestHeap heap(options);
    heap.Collect();
  };
  EXPECT_DEATH(run(), "an exception left the cycle-end callback");
}

TEST_F(CallbackTest, Log) {
  const auto run = [] {
    loam_options options = TestOptions();
    options.check.stress_probability = 0.5;
    options.callbacks.log = [](loam_heap*, const char*, void*) { Throw(); };
    TestHeap heap(options);
  };
  EXPECT_DEATH(run(), "an exception left the log callback: unexpected");
}

TEST_F(CallbackTest, Fatal) {
  const auto run = [] {
    loam_options options = TestOptions();
    options.check.check_stores = 1;
    options.callbacks.fatal = [](loam_heap*, const char*, void*) { Throw(); };
    TestHeap heap(options);
    loam_word word = 0;
    loam_store_value(heap.m(), nullptr, &word, 8);
  };
  EXPECT_DEATH(run(),
               "object is NULL(.|\n)*an exception left the fatal "
               "callback: unexpected");
}

// ---- Roots and layouts ------------------------------------------------------

void ThrowingProvider(loam_visitor*, void*) { Throw(); }

TEST_F(CallbackTest, Providers) {
  const auto run = [](int kind) {
    TestHeap heap;
    loam_root* root;
    if (kind == 0) {
      (void)loam_root_provider_add(heap.heap(), ThrowingProvider, nullptr,
                                   "vm stack", &root);
    } else if (kind == 1) {
      (void)loam_mutator_root_provider_add(heap.m(), ThrowingProvider, nullptr,
                                           "vm stack", &root);
    } else {
      loam_fiber* fiber;
      (void)loam_fiber_create(heap.heap(), nullptr, &fiber);
      (void)loam_fiber_root_provider_add(fiber, ThrowingProvider, nullptr,
                                         "vm stack", &root);
    }
    heap.Collect();
  };
  EXPECT_DEATH(run(0), "an exception left a root provider: unexpected");
  EXPECT_DEATH(run(1), "an exception left a root provider: unexpected");
  EXPECT_DEATH(run(2), "an exception left a root provider: unexpected");
}

TEST_F(CallbackTest, Trace) {
  const auto run = [] {
    TestHeap heap;
    loam_type_info info = LOAM_TYPE_INFO_INIT;
    info.size = 32;
    info.trace = [](loam_visitor*, void*, size_t) { Throw(); };
    const loam_type* type;
    (void)loam_type_register(heap.types(), &info, &type);
    heap.kept = {loam_alloc(heap.m(), type)};
    heap.Collect();
  };
  EXPECT_DEATH(run(),
               "an exception left a trace or decode callback: "
               "unexpected");
}

TEST_F(CallbackTest, Decode) {
  const auto run = [] {
    loam_options options = TestOptions();
    options.encoding.kind = LOAM_ENCODING_CALLBACK;
    options.encoding.decode = [](loam_word word) -> uintptr_t {
      if (word == 12345) Throw();
      return 0;
    };
    TestHeap heap(options);
    auto* slots = static_cast<loam_word*>(loam_alloc_slots(heap.m(), 1));
    heap.kept = {slots};
    loam_store_value(heap.m(), slots, slots, 12345);
    heap.Collect();
  };
  EXPECT_DEATH(run(),
               "an exception left a trace or decode callback: "
               "unexpected");
  const auto run_in_store = [] {
    loam_options options = TestOptions();
    options.check.check_stores = 1;
    options.encoding.kind = LOAM_ENCODING_CALLBACK;
    options.encoding.decode = [](loam_word) -> uintptr_t { Throw(); };
    TestHeap heap(options);
    auto* slots = static_cast<loam_word*>(loam_alloc_slots(heap.m(), 1));
    loam_store_value(heap.m(), slots, slots, 12345);
  };
  EXPECT_DEATH(run_in_store(), "an exception left the decode callback");
}

// ---- Finalizers -------------------------------------------------------------

void AddFinalizer(const TestHeap& heap, loam_finalizer_fn fn) {
  (void)loam_finalizer_set(heap.m(), loam_alloc_bytes(heap.m(), 100), fn,
                           nullptr, LOAM_FINALIZER_ORDERED);
  heap.Collect();
}

TEST_F(CallbackTest, Finalizer) {
  const auto run = [] {
    TestHeap heap;
    AddFinalizer(heap, [](loam_mutator*, void*, void*) { Throw(); });
    (void)loam_finalizers_run(heap.m(), 0, nullptr, nullptr);
  };
  EXPECT_DEATH(run(), "an exception left a finalizer: unexpected");
}

TEST_F(CallbackTest, FinalizersReady) {
  const auto run = [] {
    TestHeap heap;
    loam_finalizers_on_ready(heap.heap(), [](void*) { Throw(); }, nullptr);
    AddFinalizer(heap, [](loam_mutator*, void*, void*) {});
  };
  EXPECT_DEATH(run(),
               "an exception left the finalizers-ready callback: "
               "unexpected");
}

// ---- Looking inside ---------------------------------------------------------

TEST_F(CallbackTest, Walk) {
  const auto run = [] {
    TestHeap heap;
    heap.kept = {loam_alloc_bytes(heap.m(), 100)};
    const auto visit = [](void*, size_t, const loam_type*, void*) -> int {
      Throw();
    };
    (void)loam_heap_walk(heap.m(), visit, nullptr);
  };
  EXPECT_DEATH(run(), "an exception left .*walk.*: unexpected");
}

}  // namespace
}  // namespace loam_test
