// Interleavings that arguments in the code speak of, each made to happen: a
// thread is held at a named point while another does the dangerous thing.

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "api/loam.h"
#include "gtest/gtest.h"
#include "runtime/base/race_hooks.h"
#include "tests/races/gate.h"

namespace loam {
namespace {

#ifdef LOAM_RACE_HOOKS

struct Node {
  Node* next;
  uint64_t id;
  uint64_t padding[2];
};

class RaceTest : public testing::Test {
 protected:
  void SetUp() override {
    loam_options options;
    loam_options_init(&options);
    ASSERT_EQ(loam_heap_create(&options, &heap_), LOAM_OK);
    const loam_field fields[] = {LOAM_FIELD(Node, next, LOAM_POINTER)};
    loam_type_info info = LOAM_TYPE_INFO_INIT;
    info.name = "node";
    info.size = sizeof(Node);
    info.fields = fields;
    info.field_count = 1;
    info.flags = LOAM_TYPE_HOT;
    ASSERT_EQ(loam_type_register(loam_heap_types(heap_), &info, &node_type_),
              LOAM_OK);
    ASSERT_EQ(loam_mutator_attach(heap_, "main", &m_), LOAM_OK);
  }
  void TearDown() override {
    ASSERT_EQ(loam_mutator_detach(m_), LOAM_OK);
    ASSERT_EQ(loam_heap_destroy(heap_), LOAM_OK);
  }

  loam_heap* heap_ = nullptr;
  loam_mutator* m_ = nullptr;
  const loam_type* node_type_ = nullptr;
  std::atomic<bool> opened_{false};
};

// A mutator that has become running but not yet read its word: the stopper must
// wait for it, and it must step back.
TEST_F(RaceTest, StopWaitsForAMutatorThatIsLeavingNative) {
  std::atomic<bool> native{false};
  std::atomic<bool> go{false};
  std::atomic<bool> left{false};
  std::thread other([&] {
    loam_mutator* m = nullptr;
    ASSERT_EQ(loam_mutator_attach(heap_, "other", &m), LOAM_OK);
    loam_enter_native(m);
    native.store(true);
    while (!go.load()) std::this_thread::yield();
    ASSERT_EQ(loam_leave_native(m), LOAM_OK);
    left.store(true);
    ASSERT_EQ(loam_mutator_detach(m), LOAM_OK);
  });
  while (!native.load()) std::this_thread::yield();

  std::atomic<bool> stopped{false};
  std::atomic<bool> start{false};
  Gate gate(RacePoint::kLeaveNative);
  go.store(true);
  gate.WaitUntilReached();
  std::thread stopper([&] {
    loam_mutator* m = nullptr;
    ASSERT_EQ(loam_mutator_attach(heap_, "stopper", &m), LOAM_OK);
    ASSERT_EQ(loam_stop_the_world(m), LOAM_OK);
    stopped.store(true);
    while (!start.load()) std::this_thread::yield();
    EXPECT_FALSE(left.load()) << "it ran on while the world was stopped";
    ASSERT_EQ(loam_start_the_world(m), LOAM_OK);
    ASSERT_EQ(loam_mutator_detach(m), LOAM_OK);
  });
  loam_enter_native(m_);
  std::this_thread::sleep_for(kLongEnoughToGoWrong);
  EXPECT_FALSE(stopped.load()) << "the stopper did not wait for it";
  gate.Open();
  while (!stopped.load()) std::this_thread::yield();
  std::this_thread::sleep_for(kLongEnoughToGoWrong);
  start.store(true);
  stopper.join();
  other.join();
  EXPECT_TRUE(left.load());
  ASSERT_EQ(loam_leave_native(m_), LOAM_OK);
}

// The stopper has set the words and not read the states when a mutator goes
// native: neither may miss the other.
TEST_F(RaceTest, EnteringNativeBetweenRequestAndInspection) {
  std::atomic<bool> attached{false};
  std::atomic<bool> go{false};
  std::atomic<bool> native{false};
  std::thread other([&] {
    loam_mutator* m = nullptr;
    ASSERT_EQ(loam_mutator_attach(heap_, "other", &m), LOAM_OK);
    attached.store(true);
    while (!go.load()) std::this_thread::yield();
    native.store(true);
    loam_enter_native(m);
    ASSERT_EQ(loam_leave_native(m), LOAM_OK);
    ASSERT_EQ(loam_mutator_detach(m), LOAM_OK);
  });
  while (!attached.load()) std::this_thread::yield();
  std::thread helper([&] {
    while (!native.load()) std::this_thread::yield();
    std::this_thread::sleep_for(kLongEnoughToGoWrong);
    // The gate is opened from a thread that is no mutator.
    opened_.store(true);
  });
  {
    Gate gate(RacePoint::kStopRequested);
    std::thread opener([&] {
      gate.WaitUntilReached();
      go.store(true);
      while (!opened_.load()) std::this_thread::yield();
      gate.Open();
    });
    ASSERT_EQ(loam_collect(m_, LOAM_COLLECT_FULL), LOAM_OK);
    opener.join();
  }
  helper.join();
  loam_enter_native(m_);
  other.join();
  ASSERT_EQ(loam_leave_native(m_), LOAM_OK);
}

// A mutator has taken an unswept span off its list when somebody else sweeps
// that very span: the mutator must forget it.
TEST_F(RaceTest, SpanSweptBetweenPopAndToken) {
  // Two of every three nodes die, so that every span is partly alive.
  constexpr size_t kNodes = 60000;
  std::vector<Node*> kept(kNodes / 3);
  loam_root* root = nullptr;
  ASSERT_EQ(loam_root_add_range(heap_, kept.data(), kept.size(), LOAM_POINTER,
                                "kept", &root),
            LOAM_OK);
  loam_gc_disable(m_);
  for (size_t i = 0; i < kNodes; i++) {
    auto* node = static_cast<Node*>(loam_alloc(m_, node_type_));
    ASSERT_NE(node, nullptr);
    node->id = i;
    if (i % 3 == 0) kept[i / 3] = node;
  }
  ASSERT_EQ(loam_gc_enable(m_), LOAM_OK);
  // A cycle whose sweeping is lazy: big buffers until the trigger is reached.
  loam_stats stats = {};
  stats.struct_size = sizeof(stats);
  do {
    ASSERT_NE(loam_alloc_bytes(m_, 256 << 10), nullptr);
    ASSERT_EQ(loam_heap_stats(heap_, &stats), LOAM_OK);
  } while (stats.cycles == 0);

  Gate gate(RacePoint::kSpanPopped);
  std::thread allocator([&] {
    loam_mutator* m = nullptr;
    ASSERT_EQ(loam_mutator_attach(heap_, "allocator", &m), LOAM_OK);
    for (int i = 0; i < 10000; i++) {
      ASSERT_NE(loam_alloc(m, node_type_), nullptr);
    }
    ASSERT_EQ(loam_mutator_detach(m), LOAM_OK);
  });
  gate.WaitUntilReached();
  // Sweeps the span of every kept node, the popped one included.
  const auto ignore = [](loam_mutator*, void*, void*) {};
  for (Node* node : kept) {
    ASSERT_EQ(
        loam_finalizer_set(m_, node, ignore, nullptr, LOAM_FINALIZER_ORDERED),
        LOAM_OK);
  }
  gate.Open();
  loam_enter_native(m_);
  allocator.join();
  ASSERT_EQ(loam_leave_native(m_), LOAM_OK);
  ASSERT_EQ(loam_collect(m_, LOAM_COLLECT_FULL), LOAM_OK);
  for (size_t i = 0; i < kept.size(); i++) EXPECT_EQ(kept[i]->id, i * 3);
  EXPECT_EQ(loam_heap_check(m_, LOAM_CHECK_FULL, nullptr, nullptr), LOAM_OK);
  ASSERT_EQ(loam_root_remove(root), LOAM_OK);
}

// The child of a fork is the only mutator of its heap, whatever the others were
// doing, and may destroy it.
class ForkRaceTest : public RaceTest {
 protected:
  void ForkWhileAnotherIsAt(RacePoint point) {
    Gate gate(point);
    std::thread other([&] {
      loam_mutator* m = nullptr;
      ASSERT_EQ(loam_mutator_attach(heap_, "other", &m), LOAM_OK);
      ASSERT_EQ(loam_mutator_detach(m), LOAM_OK);
    });
    gate.WaitUntilReached();
    ASSERT_EQ(loam_fork_prepare(m_), LOAM_OK);
    const pid_t child = fork();
    if (child == 0) _exit(Child());
    loam_fork_parent(m_);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
    EXPECT_EQ(WEXITSTATUS(status), 0);
    gate.Open();
    other.join();
  }

 private:
  int Child() {
    race_hook.store(nullptr, std::memory_order_relaxed);
    loam_fork_child(m_);
    if (loam_collect(m_, LOAM_COLLECT_FULL) != LOAM_OK) return 2;
    if (loam_mutator_detach(m_) != LOAM_OK) return 3;
    return loam_heap_destroy(heap_) == LOAM_OK ? 0 : 4;
  }
};

TEST_F(ForkRaceTest, AnotherThreadIsAttaching) {
  ForkWhileAnotherIsAt(RacePoint::kLinkedNotRunning);
}

TEST_F(ForkRaceTest, AnotherThreadIsDetaching) {
  ForkWhileAnotherIsAt(RacePoint::kDetachedStillCounted);
}

#else

TEST(RaceTest, NeedsRaceHooks) {
  GTEST_SKIP() << "race hooks exist in the sanitizer configurations only";
}

#endif

}  // namespace
}  // namespace loam
