#include "runtime/gc/safepoint.h"

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/gc/test_mutator.h"

namespace loam {
namespace {

// Long enough for another thread to do what it should not.
void GiveOthersTime() {
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
}
void WaitFor(const std::atomic<bool>& flag) {
  while (!flag.load()) std::this_thread::yield();
}
// Until the thread of `m` waits for a stop to end: it has stepped back.
void WaitUntilParked(const TestMutator& m) {
  while (m.state() != MutatorState::kParked) std::this_thread::yield();
}

void Stop(Safepoints* heap, TestMutator* self) {
  ASSERT_TRUE(heap->StopTheWorld(self->get(), nullptr, nullptr));
}
void Start(Safepoints* heap, TestMutator* self) {
  heap->StartTheWorld();
  Safepoints::ResumeSelf(self->get());
}

TEST(SafepointTest, AttachAndDetach) {
  Safepoints heap;
  EXPECT_EQ(heap.mutator_count(), 0);
  TestMutator a;
  TestMutator b;
  TestMutator c;
  for (TestMutator* m : {&a, &b, &c}) {
    ASSERT_TRUE(heap.Attach(m->get()));
    EXPECT_EQ(m->state(), MutatorState::kRunning);
    EXPECT_EQ(m->word(), 0);
    EXPECT_EQ(m->get()->thread.load(), ThreadContext::CurrentIfAny());
  }
  EXPECT_EQ(heap.mutator_count(), 3);
  heap.Detach(b.get());  // From the middle.
  std::vector<SafepointState*> visited;
  heap.ForEachMutator([&](SafepointState* m) { visited.push_back(m); });
  EXPECT_EQ(visited, (std::vector<SafepointState*>{c.get(), a.get()}));
  heap.Detach(c.get());
  heap.Detach(a.get());
  EXPECT_EQ(heap.mutator_count(), 0);
  EXPECT_EQ(ThreadContext::Current()->Find(&heap), nullptr);
  EXPECT_EQ(a.get()->thread.load(), nullptr);
}

TEST(SafepointTest, ThreadFindsItsMutatorOfAHeap) {
  Safepoints first;
  Safepoints second;
  Safepoints third;
  TestMutator a;
  TestMutator b;
  ASSERT_TRUE(first.Attach(a.get()));
  ASSERT_TRUE(second.Attach(b.get()));
  ThreadContext* context = ThreadContext::Current();
  EXPECT_EQ(context->Find(&first), a.get());
  EXPECT_EQ(context->Find(&second), b.get());
  EXPECT_EQ(context->Find(&third), nullptr);
  std::thread other(
      [&] { EXPECT_EQ(ThreadContext::Current()->Find(&first), nullptr); });
  other.join();
  first.Detach(a.get());
  second.Detach(b.get());
}

TEST(SafepointTest, StopAlone) {
  Safepoints heap;
  TestMutator m;
  ASSERT_TRUE(heap.Attach(m.get()));
  EXPECT_FALSE(heap.IsStoppedBy(m.get()));
  Stop(&heap, &m);
  EXPECT_TRUE(heap.IsStoppedBy(m.get()));
  EXPECT_EQ(m.state(), MutatorState::kParked);
  Start(&heap, &m);
  EXPECT_FALSE(heap.IsStoppedBy(m.get()));
  EXPECT_EQ(m.state(), MutatorState::kRunning);
  EXPECT_EQ(m.word(), 0);
  heap.Detach(m.get());
}

TEST(SafepointTest, StopsNest) {
  Safepoints heap;
  TestMutator m;
  ASSERT_TRUE(heap.Attach(m.get()));
  Stop(&heap, &m);
  Stop(&heap, &m);
  heap.StartTheWorld();
  EXPECT_TRUE(heap.IsStoppedBy(m.get()));
  Start(&heap, &m);
  EXPECT_FALSE(heap.IsStoppedBy(m.get()));
  EXPECT_EQ(m.state(), MutatorState::kRunning);
  heap.Detach(m.get());
}

TEST(SafepointTest, OwnOtherMutatorsAreParkedToo) {
  Safepoints heap;
  Safepoints other_heap;
  TestMutator self;
  TestMutator sibling;
  TestMutator elsewhere;
  ASSERT_TRUE(heap.Attach(self.get()));
  ASSERT_TRUE(heap.Attach(sibling.get()));
  ASSERT_TRUE(other_heap.Attach(elsewhere.get()));
  Stop(&heap, &self);
  EXPECT_EQ(sibling.state(), MutatorState::kParked);
  EXPECT_EQ(elsewhere.state(), MutatorState::kParked);
  Start(&heap, &self);
  EXPECT_EQ(sibling.state(), MutatorState::kRunning);
  EXPECT_EQ(elsewhere.state(), MutatorState::kRunning);
  EXPECT_EQ(sibling.word() & kWordStop, 0);
  sibling.Poll();
  EXPECT_EQ(sibling.word(), 0);
  heap.Detach(self.get());
  heap.Detach(sibling.get());
  other_heap.Detach(elsewhere.get());
}

TEST(SafepointTest, PollsWithoutStopReturn) {
  Safepoints heap;
  TestMutator m;
  ASSERT_TRUE(heap.Attach(m.get()));
  m.set_word_bits(kWordAlways);
  m.Poll();
  EXPECT_EQ(m.word(), kWordAlways) << "stays: every poll is a slow one";
  EXPECT_EQ(m.state(), MutatorState::kRunning);
  m.set_word_bits(kWordThread);
  m.Poll();
  EXPECT_EQ(m.word(), kWordAlways);
  heap.Detach(m.get());
}

// A thread that runs in a heap: it counts, and polls between counts.
class Counter {
 public:
  explicit Counter(Safepoints* heap)
      : heap_(*heap), thread_([this] { Run(); }) {
    WaitFor(attached_);
  }
  ~Counter() { Join(); }

  void Join() {
    end_ = true;
    if (thread_.joinable()) thread_.join();
  }
  // Plain memory: only the stopped world may be looked at.
  uint64_t count() const { return count_; }
  void WaitUntilItMoves() {
    const uint64_t before = published_.load();
    while (published_.load() == before) std::this_thread::yield();
  }

 private:
  void Run() {
    ASSERT_TRUE(heap_.Attach(m_.get()));
    attached_ = true;
    while (!end_) {
      count_++;
      published_ = count_;
      m_.Poll();
    }
    heap_.Detach(m_.get());
  }

  Safepoints& heap_;
  TestMutator m_;
  uint64_t count_ = 0;
  std::atomic<uint64_t> published_{0};
  std::atomic<bool> attached_{false};
  std::atomic<bool> end_{false};
  std::thread thread_;
};

TEST(SafepointTest, RunningMutatorsStopAtTheirPolls) {
  Safepoints heap;
  TestMutator self;
  ASSERT_TRUE(heap.Attach(self.get()));
  Counter first(&heap);
  Counter second(&heap);
  for (int round = 0; round < 50; round++) {
    first.WaitUntilItMoves();
    Stop(&heap, &self);
    const uint64_t count = first.count() + second.count();
    if (round % 10 == 0) GiveOthersTime();
    EXPECT_EQ(first.count() + second.count(), count);
    Start(&heap, &self);
  }
  first.WaitUntilItMoves();
  second.WaitUntilItMoves();
  // Joining them is no safepoint: they must not need this thread.
  first.Join();
  second.Join();
  heap.Detach(self.get());
}

TEST(SafepointTest, NativeMutatorsAreNotWaitedForButMayNotReturn) {
  Safepoints heap;
  TestMutator self;
  ASSERT_TRUE(heap.Attach(self.get()));
  TestMutator m;
  std::atomic<bool> in_native{false};
  std::atomic<bool> may_return{false};
  std::atomic<bool> has_returned{false};
  std::thread other([&] {
    ASSERT_TRUE(heap.Attach(m.get()));
    Safepoints::EnterNative(m.get());
    in_native = true;
    WaitFor(may_return);
    ASSERT_TRUE(Safepoints::LeaveNative(m.get()));
    has_returned = true;
    EXPECT_EQ(m.state(), MutatorState::kRunning);
    heap.Detach(m.get());
  });
  WaitFor(in_native);
  Stop(&heap, &self);
  EXPECT_EQ(m.state(), MutatorState::kNative);
  may_return = true;
  WaitUntilParked(m);
  GiveOthersTime();
  EXPECT_FALSE(has_returned.load());
  Start(&heap, &self);
  other.join();
  EXPECT_TRUE(has_returned.load());
  heap.Detach(self.get());
}

TEST(SafepointTest, EnteringNativeLetsTheStopperGoOn) {
  Safepoints heap;
  TestMutator self;
  ASSERT_TRUE(heap.Attach(self.get()));
  TestMutator m;
  std::atomic<bool> running{false};
  std::atomic<bool> stopped{false};
  std::thread other([&] {
    ASSERT_TRUE(heap.Attach(m.get()));
    running = true;
    // Does not poll, however much it is wanted.
    while ((m.word() & kWordStop) == 0) std::this_thread::yield();
    GiveOthersTime();
    EXPECT_FALSE(stopped.load());
    Safepoints::EnterNative(m.get());
    WaitFor(stopped);
    ASSERT_TRUE(Safepoints::LeaveNative(m.get()));
    heap.Detach(m.get());
  });
  WaitFor(running);
  Stop(&heap, &self);
  stopped = true;
  EXPECT_EQ(m.state(), MutatorState::kNative);
  Start(&heap, &self);
  other.join();
  heap.Detach(self.get());
}

TEST(SafepointTest, DetachingLetsTheStopperGoOn) {
  Safepoints heap;
  TestMutator self;
  ASSERT_TRUE(heap.Attach(self.get()));
  std::atomic<bool> running{false};
  std::thread other([&] {
    TestMutator m;
    ASSERT_TRUE(heap.Attach(m.get()));
    running = true;
    while ((m.word() & kWordStop) == 0) std::this_thread::yield();
    GiveOthersTime();
    heap.Detach(m.get());
  });
  WaitFor(running);
  Stop(&heap, &self);
  EXPECT_EQ(heap.mutator_count(), 1);
  Start(&heap, &self);
  other.join();
  heap.Detach(self.get());
}

TEST(SafepointTest, AttachingWaitsForTheStopToEnd) {
  Safepoints heap;
  TestMutator self;
  ASSERT_TRUE(heap.Attach(self.get()));
  Stop(&heap, &self);
  std::atomic<bool> attached{false};
  std::thread other([&] {
    TestMutator m;
    ASSERT_TRUE(heap.Attach(m.get()));
    attached = true;
    heap.Detach(m.get());
  });
  GiveOthersTime();
  EXPECT_FALSE(attached.load());
  EXPECT_EQ(heap.mutator_count(), 1);
  Start(&heap, &self);
  other.join();
  EXPECT_TRUE(attached.load());
  heap.Detach(self.get());
}

TEST(SafepointTest, StopMayNoLongerBeWanted) {
  Safepoints heap;
  TestMutator m;
  ASSERT_TRUE(heap.Attach(m.get()));
  int asked = 0;
  EXPECT_FALSE(heap.StopTheWorld(
      m.get(),
      [](void* data) {
        ++*static_cast<int*>(data);
        return false;
      },
      &asked));
  EXPECT_EQ(asked, 1);
  EXPECT_FALSE(heap.IsStoppedBy(m.get()));
  EXPECT_EQ(m.state(), MutatorState::kParked);
  Safepoints::ResumeSelf(m.get());
  EXPECT_EQ(m.state(), MutatorState::kRunning);
  heap.Detach(m.get());
}

TEST(SafepointTest, WhoWaitedForAnotherStopIsAskedAgain) {
  Safepoints heap;
  TestMutator self;
  ASSERT_TRUE(heap.Attach(self.get()));
  TestMutator m;
  struct Question {
    std::atomic<bool> first_stop_is_over{false};
    std::atomic<int> asked_during_it{0};
    std::atomic<int> asked_after_it{0};
  } question;
  std::atomic<bool> running{false};
  std::thread other([&] {
    ASSERT_TRUE(heap.Attach(m.get()));
    running = true;
    while ((m.word() & kWordStop) == 0) std::this_thread::yield();
    // Instead of polling it wants to stop the world itself.
    EXPECT_FALSE(heap.StopTheWorld(
        m.get(),
        [](void* data) {
          auto* q = static_cast<Question*>(data);
          (q->first_stop_is_over ? q->asked_after_it : q->asked_during_it)++;
          return false;
        },
        &question));
    Safepoints::ResumeSelf(m.get());
    heap.Detach(m.get());
  });
  WaitFor(running);
  Stop(&heap, &self);
  GiveOthersTime();
  question.first_stop_is_over = true;
  Start(&heap, &self);
  other.join();
  EXPECT_EQ(question.asked_during_it.load(), 0);
  EXPECT_EQ(question.asked_after_it.load(), 1);
  heap.Detach(self.get());
}

TEST(SafepointTest, ThreadThatEndsRunningBecomesNative) {
  Safepoints heap;
  TestMutator self;
  TestMutator m;
  ASSERT_TRUE(heap.Attach(self.get()));
  std::thread other([&] { ASSERT_TRUE(heap.Attach(m.get())); });
  other.join();
  EXPECT_TRUE(m.thread_ended());
  EXPECT_EQ(m.state(), MutatorState::kNative);
  Stop(&heap, &self);  // Does not wait for it.
  Start(&heap, &self);
  // Whoever takes it over may go on with it.
  ASSERT_TRUE(Safepoints::LeaveNative(m.get()));
  EXPECT_EQ(m.get()->thread.load(), ThreadContext::CurrentIfAny());
  heap.Detach(m.get());
  heap.Detach(self.get());
}

TEST(SafepointTest, ThreadThatEndsNativeIsLeftAlone) {
  Safepoints heap;
  TestMutator m;
  std::thread other([&] {
    ASSERT_TRUE(heap.Attach(m.get()));
    Safepoints::EnterNative(m.get());
  });
  other.join();
  EXPECT_FALSE(m.thread_ended());
  EXPECT_EQ(m.state(), MutatorState::kNative);
  ASSERT_TRUE(Safepoints::LeaveNative(m.get()));
  heap.Detach(m.get());
}

}  // namespace
}  // namespace loam
