// What a mutator remembers of call stacks, when there is another stack in the
// place of the one that it was learnt on.

#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cstddef>
#include <cstdint>

#include "tests/api/test_heap.h"
#include "tests/support/sanitized.h"

namespace loam_test {
namespace {

constexpr size_t kStackBytes = 1 << 20;

// Memory for a stack, which loses its upper half: a stack in the lower one has
// its calls where one in the whole has had some, but not their callers.
class StackMemory {
 public:
  StackMemory()
      : base_(static_cast<char*>(mmap(nullptr, kStackBytes,
                                      PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
    EXPECT_NE(base_, MAP_FAILED);
  }
  ~StackMemory() { munmap(base_, kStackBytes); }
  StackMemory(const StackMemory&) = delete;
  StackMemory& operator=(const StackMemory&) = delete;

  void LoseUpperHalf() {
    bytes_ = kStackBytes / 2;
    EXPECT_EQ(mprotect(base_ + bytes_, bytes_, PROT_NONE), 0);
  }
  char* base() const { return base_; }
  size_t bytes() const { return bytes_; }
  // The frame of AllocateBelow takes what puts its callees at the same place.
  size_t room() const { return bytes_ - 3 * kStackBytes / 8; }

 private:
  char* const base_;
  size_t bytes_ = kStackBytes;
};

// In a frame of that size.
__attribute__((noinline)) void AllocateBelow(loam_mutator* m, size_t room) {
  auto* frame = static_cast<volatile char*>(__builtin_alloca(room));
  frame[0] = 1;
  for (int i = 0; i < 10; i++) EXPECT_NE(loam_alloc_bytes(m, 100), nullptr);
  frame[0] = 2;
}

loam_options EveryObject() {
  loam_options options = TestOptions();
  options.profile_rate = 1;
  return options;
}

struct OnThread {
  loam_mutator* m;
  size_t room;
};

void* RunOnThread(void* data) {
  const auto* run = static_cast<OnThread*>(data);
  EXPECT_EQ(loam_leave_native(run->m), LOAM_OK);
  AllocateBelow(run->m, run->room);
  loam_enter_native(run->m);
  return nullptr;
}

TEST(MovedStacksTest, AThreadInPlaceOfAnother) {
  TestHeap heap(EveryObject());
  StackMemory memory;
  loam_enter_native(heap.m());
  for (int i = 0; i < 2; i++) {
    pthread_attr_t attributes;
    ASSERT_EQ(pthread_attr_init(&attributes), 0);
    ASSERT_EQ(pthread_attr_setstack(&attributes, memory.base(), memory.bytes()),
              0);
    OnThread run = {heap.m(), memory.room()};
    pthread_t thread;
    ASSERT_EQ(pthread_create(&thread, &attributes, RunOnThread, &run), 0);
    ASSERT_EQ(pthread_join(thread, nullptr), 0);
    pthread_attr_destroy(&attributes);
    if (i == 0) memory.LoseUpperHalf();
  }
  EXPECT_EQ(loam_leave_native(heap.m()), LOAM_OK);
}

// What runs on the fiber's stack has no parameters.
struct OnFiber {
  ucontext_t outside;
  ucontext_t inside;
  loam_mutator* m;
  size_t room;
};
OnFiber on_fiber;

void RunOnFiber() {
  AllocateBelow(on_fiber.m, on_fiber.room);
  swapcontext(&on_fiber.inside, &on_fiber.outside);
}

void AllocateOnAFiber(const TestHeap& heap, const StackMemory& memory) {
  loam_fiber* fiber;
  ASSERT_EQ(loam_fiber_create(heap.heap(), nullptr, &fiber), LOAM_OK);
  ASSERT_EQ(getcontext(&on_fiber.inside), 0);
  on_fiber.inside.uc_stack.ss_sp = memory.base();
  on_fiber.inside.uc_stack.ss_size = memory.bytes();
  on_fiber.m = heap.m();
  on_fiber.room = memory.room();
  makecontext(&on_fiber.inside, RunOnFiber, 0);
  loam_fiber_switch(heap.m(), fiber);
  ASSERT_EQ(swapcontext(&on_fiber.outside, &on_fiber.inside), 0);
  loam_fiber_switch(heap.m(), nullptr);
  ASSERT_EQ(loam_fiber_destroy(fiber), LOAM_OK);
}

TEST(MovedStacksTest, AFiberInPlaceOfAnother) {
  if (kSanitized) GTEST_SKIP() << "sanitizers do not know these stacks";
  const TestHeap heap(EveryObject());
  StackMemory memory;
  AllocateOnAFiber(heap, memory);
  memory.LoseUpperHalf();
  AllocateOnAFiber(heap, memory);
}

}  // namespace
}  // namespace loam_test
