// Threads that come and go, hand mutators over, and stop each other.

#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <mutex>

#include "tests/threads/thread_test.h"

namespace loam_test {
namespace {

constexpr int kThreads = 6;

double Seconds() { return TestSeconds(kSanitized ? 1 : 0.5); }

TEST(MutatorsTest, AttachAndDetachStorm) {
  const uint64_t seed = TestSeed();
  TestHeap heap;
  const loam_type* type = RegisterNode(heap.types());
  loam_global* global;
  ASSERT_EQ(loam_global_create(heap.heap(), LOAM_POINTER, 0, &global), LOAM_OK);
  const Deadline deadline(Seconds());
  std::atomic<uint64_t> attached = 0;
  loam_enter_native(heap.m());
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; t++) {
    threads.emplace_back([&, t] {
      Random random(seed + static_cast<uint64_t>(t));
      while (deadline.Running()) {
        loam_mutator* m = nullptr;
        ASSERT_EQ(loam_mutator_attach(heap.heap(), "storm", &m), LOAM_OK);
        ASSERT_EQ(loam_mutator_current(heap.heap()), m);
        // A list that another thread left behind, or this one.
        const auto* found =
            reinterpret_cast<const Node*>(loam_global_get(global));
        if (found != nullptr) {
          ASSERT_TRUE(IsList(found->left, 20, found->number));
        }
        LOAM_FRAME(m, f, 1, LOAM_POINTER);
        const uint64_t list_seed = random.Next();
        f.slots[0] =
            reinterpret_cast<loam_word>(MakeList(m, type, 20, list_seed));
        Node* head = NewNode(m, type, list_seed);
        loam_store_pointer_init(m, head, &head->left,
                                reinterpret_cast<Node*>(f.slots[0]));
        loam_global_set(m, global, reinterpret_cast<loam_word>(head));
        if (random.OneIn(10)) {
          ASSERT_EQ(loam_collect(m, LOAM_COLLECT_FULL), LOAM_OK);
        }
        LOAM_FRAME_END(f);
        ASSERT_EQ(loam_mutator_detach(m), LOAM_OK);
        ASSERT_EQ(loam_mutator_current(heap.heap()), nullptr);
        attached.fetch_add(1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_EQ(loam_leave_native(heap.m()), LOAM_OK);
  EXPECT_GT(attached.load(), 20u);
  EXPECT_EQ(heap.Stats().mutators, 1u);
  heap.Collect();
  heap.ExpectSound();
}

// ---- Native state -----------------------------------------------------------

// A mutator that goes from hand to hand, with what hangs on it.
struct Traveller {
  loam_mutator* m;
  loam_frame_map map;
  struct {
    loam_frame frame;
    loam_word slots[1];
  } f;
  uint64_t seed;
  size_t length;
};

// Those that nobody uses now.
class Exchange {
 public:
  void Put(Traveller* traveller) {
    std::lock_guard<std::mutex> lock(mutex_);
    waiting_.push_back(traveller);
  }
  Traveller* Take() {
    std::lock_guard<std::mutex> lock(mutex_);
    if (waiting_.empty()) return nullptr;
    Traveller* first = waiting_.front();
    waiting_.pop_front();
    return first;
  }

 private:
  std::mutex mutex_;
  std::deque<Traveller*> waiting_;
};

// `pools` pools of mutators, for several threads each. In a pool of more than
// one, a thread takes a mutator while another that it gave back still waits.
void HandOver(int pools) {
  const uint64_t seed = TestSeed();
  TestHeap heap;
  const loam_type* type = RegisterNode(heap.types());
  constexpr int kTravellers = 5;
  const int hands_wanted = pools == 1 ? 4 : 2 * pools;
  Traveller travellers[kTravellers] = {};
  std::vector<Exchange> exchanges(static_cast<size_t>(pools));
  loam_enter_native(heap.m());
  for (int i = 0; i < kTravellers; i++) {
    Traveller& t = travellers[i];
    // Attached by threads that end at once.
    std::thread([&] {
      ASSERT_EQ(loam_mutator_attach(heap.heap(), "traveller", &t.m), LOAM_OK);
      t.map = {1, LOAM_POINTER, nullptr, "traveller"};
      loam_frame_push(t.m, &t.f.frame, &t.map);
      loam_enter_native(t.m);
    }).join();
    exchanges[static_cast<size_t>(i % pools)].Put(&t);
  }
  const Deadline deadline(Seconds());
  std::atomic<uint64_t> handovers = 0;
  std::vector<std::thread> hands;
  for (int h = 0; h < hands_wanted; h++) {
    hands.emplace_back([&, h] {
      Random random(seed + static_cast<uint64_t>(h));
      Exchange& exchange = exchanges[static_cast<size_t>(h % pools)];
      while (deadline.Running()) {
        Traveller* t = exchange.Take();
        if (t == nullptr) {
          std::this_thread::yield();
          continue;
        }
        ASSERT_EQ(loam_leave_native(t->m), LOAM_OK);
        ASSERT_EQ(loam_mutator_current(heap.heap()), t->m);
        ASSERT_TRUE(
            IsList(reinterpret_cast<Node*>(t->f.slots[0]), t->length, t->seed));
        t->length = random.Below(300);
        t->seed = random.Next();
        t->f.slots[0] = reinterpret_cast<loam_word>(
            MakeList(t->m, type, t->length, t->seed));
        if (random.OneIn(20)) {
          ASSERT_EQ(loam_collect(t->m, LOAM_COLLECT_FULL), LOAM_OK);
        }
        loam_enter_native(t->m);
        exchange.Put(t);
        handovers.fetch_add(1);
      }
    });
  }
  for (std::thread& hand : hands) hand.join();
  for (Exchange& exchange : exchanges) {
    while (Traveller* t = exchange.Take()) {
      std::thread([t] {
        ASSERT_EQ(loam_leave_native(t->m), LOAM_OK);
        loam_frame_pop(&t->f.frame);
        ASSERT_EQ(loam_mutator_detach(t->m), LOAM_OK);
      }).join();
    }
  }
  ASSERT_EQ(loam_leave_native(heap.m()), LOAM_OK);
  EXPECT_GT(handovers.load(), 20u);
  EXPECT_EQ(heap.Stats().mutators, 1u);
}

TEST(MutatorsTest, MutatorsAreHandedOverInNativeState) { HandOver(5); }
TEST(MutatorsTest, MutatorsArePooledInNativeState) { HandOver(1); }

// A thread has one running mutator on a heap: it cannot take over a second.
TEST(MutatorsTest, ASecondMutatorIsNotTakenOver) {
  TestHeap heap;
  loam_mutator* other = nullptr;
  loam_enter_native(heap.m());
  std::thread([&] {
    ASSERT_EQ(loam_mutator_attach(heap.heap(), "other", &other), LOAM_OK);
    loam_enter_native(other);
  }).join();
  ASSERT_EQ(loam_leave_native(heap.m()), LOAM_OK);
  EXPECT_EQ(loam_leave_native(other), LOAM_WRONG_STATE);
  EXPECT_EQ(loam_mutator_current(heap.heap()), heap.m());
  loam_enter_native(heap.m());
  std::thread([&] {
    ASSERT_EQ(loam_leave_native(other), LOAM_OK);
    ASSERT_EQ(loam_mutator_detach(other), LOAM_OK);
  }).join();
  ASSERT_EQ(loam_leave_native(heap.m()), LOAM_OK);
}

TEST(MutatorsTest, BlockedNativeCodeDelaysNoCollection) {
  TestHeap heap;
  std::mutex mutex;
  std::condition_variable changed;
  bool blocked = false;
  bool done = false;
  std::thread sleeper([&] {
    loam_mutator* m;
    ASSERT_EQ(loam_mutator_attach(heap.heap(), "sleeper", &m), LOAM_OK);
    struct Context {
      std::mutex* mutex;
      std::condition_variable* changed;
      bool* blocked;
      bool* done;
    } context = {&mutex, &changed, &blocked, &done};
    loam_call_native(
        m,
        [](void* data) {
          auto* c = static_cast<Context*>(data);
          std::unique_lock<std::mutex> lock(*c->mutex);
          *c->blocked = true;
          c->changed->notify_all();
          c->changed->wait(lock, [c] { return *c->done; });
        },
        &context);
    ASSERT_EQ(loam_mutator_detach(m), LOAM_OK);
  });
  {
    std::unique_lock<std::mutex> lock(mutex);
    changed.wait(lock, [&] { return blocked; });
  }
  for (int i = 0; i < 10; i++) heap.Collect();
  ASSERT_EQ(loam_stop_the_world(heap.m()), LOAM_OK);
  ASSERT_EQ(loam_start_the_world(heap.m()), LOAM_OK);
  {
    std::lock_guard<std::mutex> lock(mutex);
    done = true;
    changed.notify_all();
  }
  loam_enter_native(heap.m());
  sleeper.join();
  ASSERT_EQ(loam_leave_native(heap.m()), LOAM_OK);
}

// ---- Stopping the world -----------------------------------------------------

TEST(MutatorsTest, AStoppedWorldStandsStill) {
  const uint64_t seed = TestSeed();
  TestHeap heap;
  const loam_type* type = RegisterNode(heap.types());
  const Deadline deadline(Seconds());
  // Plain counters, padded: only a stop makes it safe to read another's.
  struct alignas(64) Counter {
    uint64_t value = 0;
  };
  Counter counters[kThreads];
  std::atomic<uint64_t> stops = 0;
  RunThreads(heap, kThreads, [&](loam_mutator* m, int i) {
    Random random(seed + static_cast<uint64_t>(i));
    while (deadline.Running()) {
      for (int k = 0; k < 100; k++) {
        counters[i].value++;
        loam_safepoint(m);
      }
      (void)MakeList(m, type, random.Below(50), 1);
      if (!random.OneIn(50)) continue;
      const bool nested = random.OneIn(2);
      ASSERT_EQ(loam_stop_the_world(m), LOAM_OK);
      if (nested) {
        ASSERT_EQ(loam_stop_the_world(m), LOAM_OK);
      }
      uint64_t before = 0;
      for (const Counter& c : counters) before += c.value;
      // The stopper goes on as ever.
      counters[i].value++;
      LOAM_FRAME(m, f, 1, LOAM_POINTER);
      f.slots[0] = reinterpret_cast<loam_word>(MakeList(m, type, 100, 3));
      if (random.OneIn(3)) {
        ASSERT_EQ(loam_collect(m, LOAM_COLLECT_FULL), LOAM_OK);
      }
      ASSERT_TRUE(IsList(reinterpret_cast<Node*>(f.slots[0]), 100, 3));
      LOAM_FRAME_END(f);
      uint64_t after = 0;
      for (const Counter& c : counters) after += c.value;
      ASSERT_EQ(after, before + 1);
      ASSERT_EQ(loam_start_the_world(m), LOAM_OK);
      if (nested) {
        ASSERT_EQ(loam_start_the_world(m), LOAM_OK);
      }
      stops.fetch_add(1);
    }
  });
  EXPECT_GT(stops.load(), 5u);
}

// ---- Statistics
// --------------------------------------------------------------

// Read by a thread that is attached to nothing, while others collect and heaps
// grow and shrink: every answer is of one moment.
TEST(MutatorsTest, StatisticsAddUpAtAnyMoment) {
  const uint64_t seed = TestSeed();
  TestHeap heap;
  const loam_type* type = RegisterNode(heap.types());
  const Deadline deadline(Seconds());
  std::atomic<bool> done = false;
  uint64_t answers = 0;
  std::thread reader([&] {
    loam_stats last = {};
    while (!done.load()) {
      const loam_stats now = heap.Stats();
      ASSERT_EQ(now.committed_bytes,
                now.metadata_bytes + now.span_bytes + now.free_page_bytes);
      ASSERT_GE(now.peak_committed_bytes, now.committed_bytes);
      ASSERT_GE(now.live_bytes_estimate, now.live_bytes);
      ASSERT_GE(now.allocated_bytes, now.live_bytes_estimate);
      ASSERT_GE(now.cycles, last.cycles);
      ASSERT_GE(now.total_pause_ns, last.total_pause_ns);
      last = now;
      answers++;
    }
    EXPECT_GT(last.cycles, 5u);
  });
  RunThreads(heap, 3, [&](loam_mutator* m, int i) {
    Random random(seed + static_cast<uint64_t>(i));
    while (deadline.Running()) {
      LOAM_FRAME(m, f, 2, LOAM_POINTER);
      f.slots[0] = reinterpret_cast<loam_word>(
          MakeList(m, type, random.Below(5000), seed));
      f.slots[1] = reinterpret_cast<loam_word>(
          loam_alloc_bytes(m, random.Below(200000)));
      if (random.OneIn(4)) (void)loam_collect(m, LOAM_COLLECT_FULL);
      if (random.OneIn(8)) (void)loam_heap_release_memory(heap.heap());
      LOAM_FRAME_END(f);
    }
  });
  done.store(true);
  reader.join();
  EXPECT_GT(answers, 100u);
}

// Threads that reach the trigger, or the heap's end, together need one cycle
// and not one each.
TEST(MutatorsTest, ThreadsThatRunOutTogetherCollectOnce) {
  constexpr uint64_t kHeapBytes = 32 << 20;
  constexpr uint64_t kHeapsPerThread = 8;
  constexpr int kThreads = 4;
  loam_options options = TestOptions();
  options.policy = LOAM_POLICY_FIXED;
  options.fixed_heap_size = kHeapBytes;
  TestHeap heap(options);
  RunThreads(heap, kThreads, [](loam_mutator* m, int) {
    for (uint64_t i = 0; i < kHeapsPerThread * kHeapBytes / 64; i++) {
      ASSERT_NE(loam_alloc_bytes(m, 64), nullptr);
    }
  });
  const uint64_t cycles = heap.Stats().cycles;
  constexpr uint64_t kHeaps = kThreads * kHeapsPerThread;
  EXPECT_GE(cycles, kHeaps - 2);
  // Some space is lost in caches.
  EXPECT_LE(cycles, kHeaps + kHeaps / 8);
}

// Threads that run out while the others hold the processor find that what a
// collection freed has been used up again, perhaps many times. That is not out
// of memory.
TEST(MutatorsTest, NobodyGoesWithoutWhereAllIsGarbage) {
  constexpr uint64_t kHeapBytes = 1 << 20;
  constexpr int kThreads = 16;
  loam_options options = TestOptions();
  options.policy = LOAM_POLICY_FIXED;
  options.fixed_heap_size = kHeapBytes;
  TestHeap heap(options);
  const Deadline deadline(Seconds());
  RunThreads(heap, kThreads, [&](loam_mutator* m, int i) {
    while (deadline.Running()) {
      for (int k = 0; k < 1000; k++) {
        ASSERT_NE(loam_alloc_bytes(m, i % 2 == 0 ? 64 : 8192), nullptr)
            << loam_last_error();
      }
      // One of a quarter of the heap: the rest may be in use by turns.
      ASSERT_NE(loam_alloc_bytes(m, kHeapBytes / 4), nullptr)
          << loam_last_error();
    }
  });
  EXPECT_GT(heap.Stats().cycles, 10u);
}

// Once loam_gc_disable has returned, no collection starts until enable.
TEST(MutatorsTest, GcDisableMeansNoCollection) {
  TestHeap heap;
  const loam_type* type = RegisterNode(heap.types());
  const Deadline deadline(Seconds());
  std::atomic<uint64_t> sections = 0;
  RunThreads(heap, 3, [&](loam_mutator* m, int i) {
    while (deadline.Running()) {
      if (i == 0) {
        (void)loam_collect(m, LOAM_COLLECT_FULL);  // Refused at times.
        continue;
      }
      loam_gc_disable(m);
      const uint64_t before = heap.Stats().cycles;
      // Never rooted, and nobody may take it away.
      Node* node = NewNode(m, type, 77);
      for (int k = 0; k < 20; k++) {
        loam_safepoint(m);
        (void)NewNode(m, type, 1);
      }
      ASSERT_EQ(heap.Stats().cycles, before);
      ASSERT_EQ(node->number, 77u);
      ASSERT_EQ(loam_gc_enable(m), LOAM_OK);
      loam_safepoint(m);
      sections.fetch_add(1);
    }
  });
  EXPECT_GT(sections.load(), 10u);
}

// Lock-free structures in checking mode: threads that race for a slot by
// compare-and-exchange or exchange are no raw stores.
TEST(MutatorsTest, RacingExchangesAreNoRawStores) {
  loam_options options = TestOptions();
  options.check.check_stores = 1;
  TestHeap heap(options);
  const loam_type* type = RegisterNode(heap.types());
  auto* top = static_cast<loam_word*>(loam_alloc_slots(heap.m(), 4));
  heap.kept.push_back(top);
  const Deadline deadline(Seconds());
  RunThreads(heap, 4, [&](loam_mutator* m, int i) {
    Random random(static_cast<uint64_t>(i));
    while (deadline.Running()) {
      for (int k = 0; k < 100; k++) {
        Node* node = NewNode(m, type, 1);
        loam_word* slot = &top[random.Below(2)];
        const auto word = reinterpret_cast<loam_word>(node);
        if (slot == top) {
          (void)loam_exchange_value(m, top, slot, word);
        } else {
          loam_word expected = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
          (void)loam_compare_exchange_value(m, top, slot, &expected, word);
        }
      }
      if (i == 0) {
        ASSERT_EQ(loam_collect(m, LOAM_COLLECT_FULL), LOAM_OK);
      }
    }
  });
}

// Objects that are published before their first safepoint, and written by
// others from then on: both what their maker stored and what the others did
// went through the store functions.
TEST(MutatorsTest, PublishedFreshObjectsAreNoRawStores) {
  loam_options options = TestOptions();
  options.check.check_stores = 1;
  TestHeap heap(options);
  const loam_type* type = RegisterNode(heap.types());
  auto* shared = static_cast<loam_word*>(loam_alloc_slots(heap.m(), 1));
  heap.kept.push_back(shared);
  const Deadline deadline(Seconds());
  std::atomic<uint64_t> written = 0;
  RunThreads(heap, 2, [&](loam_mutator* m, int i) {
    while (deadline.Running()) {
      if (i == 0) {
        Node* node = NewNode(m, type, 1);
        loam_store_pointer_init(m, node, &node->left, node);
        loam_store_pointer(m, node, &node->right, node);
        loam_store_pointer_init(m, node, &node->right, nullptr);
        (void)loam_exchange_value(m, shared, shared,
                                  reinterpret_cast<loam_word>(node));
        if (written.load() % 64 == 0) {
          ASSERT_EQ(loam_collect(m, LOAM_COLLECT_FULL), LOAM_OK);
        }
        continue;
      }
      // The one writer of a node's slots once it is published.
      auto* node =
          reinterpret_cast<Node*>(__atomic_load_n(shared, __ATOMIC_ACQUIRE));
      if (node != nullptr) {
        loam_store_pointer(m, node, &node->left, nullptr);
        (void)loam_exchange_pointer(m, node, &node->right, node);
        written.fetch_add(1);
      }
      loam_safepoint(m);
    }
  });
  EXPECT_GT(written.load(), 100u);
}

}  // namespace
}  // namespace loam_test
