#include "runtime/specials/finalizer_queue.h"

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace loam {
namespace {

std::vector<Special> Records(size_t count) {
  std::vector<Special> records(count);
  for (size_t i = 0; i < count; i++) {
    records[i].address = reinterpret_cast<uintptr_t>(&records[i]);
  }
  return records;
}

void PushOne(FinalizerQueue* queue, Special* record) {
  record->next = nullptr;
  queue->Push(record, record, 1);
}

void CountCall(void* data) { ++*static_cast<int*>(data); }

TEST(FinalizerQueueTest, FirstInFirstOut) {
  FinalizerQueue queue;
  std::vector<Special> records = Records(5);
  EXPECT_EQ(queue.Pop(), nullptr);
  PushOne(&queue, &records[0]);
  PushOne(&queue, &records[1]);
  EXPECT_EQ(queue.size(), 2);
  EXPECT_EQ(queue.Pop(), &records[0]);
  PushOne(&queue, &records[2]);
  EXPECT_EQ(queue.Pop(), &records[1]);
  EXPECT_EQ(queue.Pop(), &records[2]);
  EXPECT_EQ(queue.Pop(), nullptr);
  EXPECT_EQ(queue.size(), 0);
  PushOne(&queue, &records[3]);  // Again from empty.
  PushOne(&queue, &records[4]);
  EXPECT_EQ(queue.Pop(), &records[3]);
  EXPECT_EQ(queue.Pop(), &records[4]);
  EXPECT_EQ(queue.Pop(), nullptr);
}

TEST(FinalizerQueueTest, WakesOnlyFromEmpty) {
  FinalizerQueue queue;
  std::vector<Special> records = Records(4);
  PushOne(&queue, &records[0]);  // Nobody to wake: fine.
  int wakes = 0;
  queue.SetWake(CountCall, &wakes);
  PushOne(&queue, &records[1]);
  EXPECT_EQ(wakes, 0) << "was not empty";
  EXPECT_EQ(queue.Pop(), &records[0]);
  PushOne(&queue, &records[2]);
  EXPECT_EQ(wakes, 0) << "still one left";
  EXPECT_NE(queue.Pop(), nullptr);
  EXPECT_NE(queue.Pop(), nullptr);
  PushOne(&queue, &records[3]);
  EXPECT_EQ(wakes, 1);
  EXPECT_NE(queue.Pop(), nullptr);
  PushOne(&queue, &records[0]);
  EXPECT_EQ(wakes, 2);
  queue.SetWake(nullptr, nullptr);
  EXPECT_NE(queue.Pop(), nullptr);
  PushOne(&queue, &records[1]);
  EXPECT_EQ(wakes, 2);
}

TEST(FinalizerQueueTest, WakeMayUseTheQueue) {
  FinalizerQueue queue;
  std::vector<Special> records = Records(1);
  struct Seen {
    FinalizerQueue* queue;
    Special* popped;
  } seen = {&queue, nullptr};
  queue.SetWake(
      [](void* data) {
        auto* s = static_cast<Seen*>(data);
        s->popped = s->queue->Pop();  // Would deadlock under the lock.
      },
      &seen);
  PushOne(&queue, &records[0]);
  EXPECT_EQ(seen.popped, &records[0]);
  EXPECT_EQ(queue.size(), 0);
}

TEST(FinalizerQueueTest, QueuedObjectsAreVisited) {
  FinalizerQueue queue;
  std::vector<Special> records = Records(3);
  for (Special& record : records) PushOne(&queue, &record);
  EXPECT_EQ(queue.Pop(), &records[0]);
  std::vector<void*> visited;
  queue.ForEach(
      [&](const Special& special) { visited.push_back(special.object()); });
  EXPECT_EQ(visited, (std::vector<void*>{&records[1], &records[2]}));
}

TEST(FinalizerQueueDeathTest, ExceptionInTheWakeCallbackIsFatal) {
  EXPECT_DEATH(
      {
        FinalizerQueue queue;
        Special record = {};
        queue.SetWake([](void*) { throw std::runtime_error("oops"); }, nullptr);
        PushOne(&queue, &record);
      },
      "an exception left the finalizers-ready callback: oops");
}

TEST(FinalizerQueueTest, ThreadsPushAndPop) {
  constexpr size_t kProducers = 2;
  constexpr size_t kEach = 5000;
  FinalizerQueue queue;
  std::vector<std::vector<Special>> records;
  for (size_t p = 0; p < kProducers; p++) {
    records.push_back(Records(kEach));
    for (size_t i = 0; i < kEach; i++) {
      records[p][i].address = p * kEach + i;
    }
  }
  std::atomic<size_t> popped{0};
  std::vector<std::atomic<int>> times(kProducers * kEach);
  std::atomic<bool> out_of_order{false};
  const auto consume = [&] {
    std::vector<size_t> next(kProducers, 0);
    while (popped.load() < kProducers * kEach) {
      const Special* record = queue.Pop();
      if (record == nullptr) {
        std::this_thread::yield();
        continue;
      }
      popped++;
      times[record->address]++;
      // What one consumer sees of one producer comes in order.
      const size_t producer = record->address / kEach;
      if (record->address % kEach < next[producer]) out_of_order = true;
      next[producer] = record->address % kEach + 1;
    }
  };
  std::vector<std::thread> threads;
  threads.reserve(kProducers);
  for (size_t p = 0; p < kProducers; p++) {
    threads.emplace_back([&, p] {
      for (Special& record : records[p]) PushOne(&queue, &record);
    });
  }
  threads.emplace_back(consume);
  threads.emplace_back(consume);
  for (std::thread& thread : threads) thread.join();
  for (const std::atomic<int>& n : times) ASSERT_EQ(n.load(), 1);
  EXPECT_FALSE(out_of_order.load());
  EXPECT_EQ(queue.size(), 0);
}

}  // namespace
}  // namespace loam
