// Everything that touches spans, at once: mutators with survivors and garbage
// of all sizes, page caches, the background thread, finalizers; and from other
// threads memory given back, manual pages, statistics, maps, checks and other
// settings. What survives is as it was written, and all that died goes.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <string>

#include "tests/threads/thread_test.h"

namespace loam_test {
namespace {

constexpr int kMutators = 4;
constexpr size_t kMiB = size_t{1} << 20;
// Caches of pages are for heaps with 64 MiB in spans.
constexpr int kBallastMiB = 72;
constexpr size_t kSurvivors = 400;  // of each mutator, and of each kind

// Bytes with a header that tells what must be in them.
struct Buffer {
  uint64_t words;
  uint64_t seed;
};

size_t RandomBytes(Random* random) {
  if (random->OneIn(400)) return random->Between(32 << 10, 3 * kMiB);
  if (random->OneIn(20)) return random->Between(2048, 60000);
  return random->Between(sizeof(Buffer), 700);
}

// Some words from the third on, the last among them; each once.
template <typename Visit>
void ForSomeWords(uint64_t count, Visit visit) {
  const uint64_t step = std::max<uint64_t>(1, count / 16);
  for (uint64_t i = 2; i + 1 < count; i += step) visit(i);
  if (count > 2) visit(count - 1);
}

Buffer* NewBuffer(loam_mutator* m, size_t bytes, uint64_t seed) {
  auto* buffer = static_cast<Buffer*>(loam_alloc_bytes(m, bytes));
  if (buffer == nullptr) return nullptr;
  auto* words = reinterpret_cast<uint64_t*>(buffer);
  const uint64_t count = bytes / sizeof(uint64_t);
  ForSomeWords(count, [&](uint64_t i) { EXPECT_EQ(words[i], 0u); });
  buffer->words = count;
  buffer->seed = seed;
  ForSomeWords(count, [&](uint64_t i) { words[i] = Mix(seed + i); });
  return buffer;
}

bool IsBuffer(const Buffer* buffer, uint64_t seed) {
  if (buffer->seed != seed) return false;
  const auto* words = reinterpret_cast<const uint64_t*>(buffer);
  bool is_right = true;
  ForSomeWords(buffer->words, [&](uint64_t i) {
    is_right = is_right && words[i] == Mix(seed + i);
  });
  return is_right;
}

// What finalizers count. The node knows its number and has a list of three.
struct Finalized {
  std::atomic<uint64_t> set{0};
  std::atomic<uint64_t> cleared{0};
  std::atomic<uint64_t> ran{0};
  std::atomic<uint64_t> wrong{0};
};

void Finalize(loam_mutator* m, void* object, void* data) {
  auto* finalized = static_cast<Finalized*>(data);
  const auto* node = static_cast<const Node*>(object);
  if (!IsList(node->left, 3, node->number)) finalized->wrong.fetch_add(1);
  finalized->ran.fetch_add(1);
  (void)loam_alloc_bytes(m, 100);
}

// A mutator's survivors, and what they must hold.
class Worker {
 public:
  Worker(loam_mutator* m, const loam_type* type, uint64_t seed,
         Finalized* finalized)
      : m_(m), type_(type), random_(seed), finalized_(finalized) {
    EXPECT_EQ(loam_root_add_range(loam_mutator_heap(m), buffers_.data(),
                                  buffers_.size(), LOAM_POINTER, "buffers",
                                  &buffers_root_),
              LOAM_OK);
    EXPECT_EQ(
        loam_root_add_range(loam_mutator_heap(m), lists_.data(), lists_.size(),
                            LOAM_POINTER, "lists", &lists_root_),
        LOAM_OK);
  }
  ~Worker() {
    EXPECT_EQ(loam_root_remove(buffers_root_), LOAM_OK);
    EXPECT_EQ(loam_root_remove(lists_root_), LOAM_OK);
  }

  void Step() {
    const unsigned choice = static_cast<unsigned>(random_.Below(100));
    if (choice < 60) {
      ReplaceBuffer();
    } else if (choice < 80) {
      for (size_t n = random_.Below(40); n > 0; n--) {
        ASSERT_NE(NewBuffer(m_, RandomBytes(&random_), 1), nullptr);
      }
    } else if (choice < 90) {
      ReplaceList();
    } else if (choice < 96) {
      MakeFinalizable();
    } else if (choice < 98) {
      ASSERT_EQ(
          loam_finalizers_run(m_, random_.Between(1, 30), nullptr, nullptr),
          LOAM_OK);
    } else if (random_.OneIn(40)) {
      CheckAll();
    } else if (random_.OneIn(200)) {
      // Another thread may have stopped the world for a walk just now.
      ASSERT_EQ(loam_collect(m_, LOAM_COLLECT_FULL), LOAM_OK);
    }
  }

  void CheckAll() {
    for (size_t i = 0; i < kSurvivors; i++) CheckBuffer(i);
    for (size_t i = 0; i < kSurvivors; i++) CheckList(i);
  }

 private:
  void ReplaceBuffer() {
    const size_t i = random_.Below(kSurvivors);
    ASSERT_NO_FATAL_FAILURE(CheckBuffer(i));
    const uint64_t seed = random_.Next();
    // Few large ones live, or the heap becomes as large as all of them.
    Buffer* buffer = NewBuffer(
        m_, i < 4 ? RandomBytes(&random_) : random_.Between(16, 9000), seed);
    ASSERT_NE(buffer, nullptr);
    buffer_seeds_[i] = seed;
    loam_root_store_pointer(m_, &buffers_[i], buffer);
  }
  void CheckBuffer(size_t i) {
    ASSERT_TRUE(buffers_[i] == nullptr ||
                IsBuffer(buffers_[i], buffer_seeds_[i]))
        << "buffer " << i << " was lost or overwritten";
  }

  void ReplaceList() {
    const size_t i = random_.Below(kSurvivors);
    ASSERT_NO_FATAL_FAILURE(CheckList(i));
    const size_t length = random_.Below(30);
    const uint64_t seed = random_.Next();
    Node* list = MakeList(m_, type_, length, seed);
    list_lengths_[i] = length;
    list_seeds_[i] = seed;
    loam_root_store_pointer(m_, &lists_[i], list);
  }
  void CheckList(size_t i) {
    ASSERT_TRUE(IsList(lists_[i], list_lengths_[i], list_seeds_[i]))
        << "list " << i << " was lost or overwritten";
  }

  // Most die at once.
  void MakeFinalizable() {
    LOAM_FRAME(m_, f, 2, LOAM_POINTER);
    const uint64_t seed = random_.Next();
    f.slots[0] = reinterpret_cast<loam_word>(MakeList(m_, type_, 3, seed));
    Node* node = NewNode(m_, type_, seed);
    EXPECT_NE(node, nullptr);
    loam_store_pointer_init(m_, node, &node->left,
                            reinterpret_cast<Node*>(f.slots[0]));
    f.slots[1] = reinterpret_cast<loam_word>(node);
    EXPECT_EQ(loam_finalizer_set(m_, node, Finalize, finalized_,
                                 LOAM_FINALIZER_ORDERED),
              LOAM_OK);
    finalized_->set.fetch_add(1);
    for (size_t n = random_.Below(20); n > 0; n--) {
      (void)loam_alloc_bytes(m_, 64);
    }
    if (random_.OneIn(8)) {
      EXPECT_EQ(loam_finalizer_clear(m_, node), LOAM_OK);
      finalized_->cleared.fetch_add(1);
    }
    LOAM_FRAME_END(f);
  }

  loam_mutator* const m_;
  const loam_type* const type_;
  Random random_;
  Finalized* const finalized_;
  std::array<Buffer*, kSurvivors> buffers_ = {};
  std::array<uint64_t, kSurvivors> buffer_seeds_ = {};
  std::array<Node*, kSurvivors> lists_ = {};
  std::array<size_t, kSurvivors> list_lengths_ = {};
  std::array<uint64_t, kSurvivors> list_seeds_ = {};
  loam_root* buffers_root_ = nullptr;
  loam_root* lists_root_ = nullptr;
};

// A thread that is no mutator: what any thread may do.
class Bystander {
 public:
  Bystander(loam_heap* heap, uint64_t seed) : heap_(heap), random_(seed) {}

  void Step() {
    switch (random_.Below(10)) {
      case 0:
        loam_heap_release_memory(heap_);
        break;
      case 1:
        ASSERT_EQ(loam_heap_set_gc_percent(
                      heap_, static_cast<uint32_t>(random_.Between(5, 80))),
                  LOAM_OK);
        break;
      case 2:
      case 3:
        LookAtStatistics();
        break;
      case 4:
        LookAtClasses();
        break;
      default:
        ASSERT_NO_FATAL_FAILURE(ReplacePages());
        break;
    }
  }
  void End() {
    for (Pages& pages : pages_) Free(&pages);
  }

 private:
  struct Pages {
    void* address = nullptr;
    size_t words = 0;
    uint64_t seed = 0;
  };

  void LookAtStatistics() {
    loam_stats stats = {};
    stats.struct_size = sizeof(stats);
    ASSERT_EQ(loam_heap_stats(heap_, &stats), LOAM_OK);
    ASSERT_EQ(stats.committed_bytes - stats.metadata_bytes,
              stats.span_bytes + stats.free_page_bytes);
    ASSERT_GE(stats.reserved_bytes, stats.mapped_bytes);
  }

  void LookAtClasses() {
    bool is_right = true;
    const auto visit = [](const loam_span_class_stats* stats, void* data) {
      if (stats->freed_objects > stats->allocated_objects ||
          stats->freed_bytes > stats->allocated_bytes) {
        *static_cast<bool*>(data) = false;
      }
    };
    ASSERT_EQ(loam_heap_span_classes(heap_, visit, &is_right), LOAM_OK);
    ASSERT_TRUE(is_right) << "more was freed than allocated";
  }

  void ReplacePages() {
    Pages* pages = &pages_[random_.Below(pages_.size())];
    ASSERT_NO_FATAL_FAILURE(Free(pages));
    const size_t bytes = random_.OneIn(30) ? random_.Between(4, 70) * kMiB
                                           : random_.Between(1, 300) * 1000;
    const size_t alignment = size_t{8192} << random_.Below(6);
    ASSERT_EQ(loam_pages_allocate(heap_, bytes, alignment, &pages->address),
              LOAM_OK);
    ASSERT_EQ(reinterpret_cast<uintptr_t>(pages->address) % alignment, 0u);
    pages->words = bytes / sizeof(uint64_t);
    pages->seed = random_.Next();
    auto* words = static_cast<uint64_t*>(pages->address);
    ForSomeWords(pages->words, [&](uint64_t i) {
      EXPECT_EQ(words[i], 0u);
      words[i] = Mix(pages->seed + i);
    });
  }
  void Free(Pages* pages) {
    if (pages->address == nullptr) return;
    const auto* words = static_cast<const uint64_t*>(pages->address);
    ForSomeWords(pages->words, [&](uint64_t i) {
      ASSERT_EQ(words[i], Mix(pages->seed + i)) << "pages were overwritten";
    });
    ASSERT_EQ(loam_pages_free(heap_, pages->address), LOAM_OK);
    pages->address = nullptr;
  }

  loam_heap* const heap_;
  Random random_;
  std::array<Pages, 12> pages_ = {};
};

// A mutator that looks at the heap as a whole.
void Inspect(TestHeap* heap, Random* random, const std::string& map_path) {
  switch (random->Below(4)) {
    case 0:
      heap->ExpectSound();
      break;
    case 1: {
      size_t objects = 0;
      const auto visit = [](void*, size_t, const loam_type*, void* count) {
        ++*static_cast<size_t*>(count);
        return 1;
      };
      ASSERT_EQ(loam_heap_walk(heap->m(), visit, &objects), LOAM_OK);
      EXPECT_GE(objects, size_t{kBallastMiB});
      break;
    }
    default:
      ASSERT_EQ(loam_heap_map_write(heap->m(), map_path.c_str()), LOAM_OK);
      break;
  }
}

TEST(AllAtOnceTest, WhatLivesIsKeptAndWhatDiesGoes) {
  const uint64_t seed = TestSeed();
  loam_options options = TestOptions();
  options.no_background = 0;
  TestHeap heap(options);
  const loam_type* type = RegisterNode(heap.types());
  for (int i = 0; i < kBallastMiB; i++) {
    heap.kept.push_back(loam_alloc_bytes(heap.m(), kMiB));
    ASSERT_NE(heap.kept.back(), nullptr);
  }
  const std::string map_path = testing::TempDir() + "all_at_once_map.html";
  Finalized finalized;
  std::atomic<bool> done = false;
  std::vector<std::thread> threads;
  for (int t = 0; t < kMutators; t++) {
    threads.emplace_back([&, t] {
      loam_mutator* m = nullptr;
      ASSERT_EQ(loam_mutator_attach(heap.heap(), "worker", &m), LOAM_OK);
      {
        Worker worker(m, type, seed + static_cast<uint64_t>(t), &finalized);
        while (!done.load() && !testing::Test::HasFatalFailure()) {
          worker.Step();
        }
        worker.CheckAll();
      }
      ASSERT_EQ(loam_mutator_detach(m), LOAM_OK);
    });
  }
  threads.emplace_back([&] {
    Bystander bystander(heap.heap(), seed + 100);
    while (!done.load() && !testing::Test::HasFatalFailure()) {
      bystander.Step();
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    bystander.End();
  });
  Random random(seed + 200);
  const Deadline deadline(TestSeconds(3));
  while (deadline.Running()) {
    Inspect(&heap, &random, map_path);
    loam_enter_native(heap.m());
    std::this_thread::sleep_for(
        std::chrono::milliseconds(random.Between(1, 40)));
    ASSERT_EQ(loam_leave_native(heap.m()), LOAM_OK);
  }
  done = true;
  loam_enter_native(heap.m());
  for (std::thread& thread : threads) thread.join();
  ASSERT_EQ(loam_leave_native(heap.m()), LOAM_OK);
  remove(map_path.c_str());
  const loam_stats busy = heap.Stats();
  printf("%llu cycles, %llu finalizers\n",
         static_cast<unsigned long long>(busy.cycles),
         static_cast<unsigned long long>(finalized.set.load()));
  EXPECT_GT(busy.cycles, 0u);
  heap.ExpectSound();

  // Nothing but the ballast is left, then nothing.
  for (size_t ran = 1; ran > 0;) {
    heap.Collect();
    ASSERT_EQ(loam_finalizers_run(heap.m(), 0, &ran, nullptr), LOAM_OK);
  }
  heap.Collect();
  EXPECT_EQ(finalized.wrong.load(), 0u);
  EXPECT_EQ(finalized.ran.load() + finalized.cleared.load(),
            finalized.set.load())
      << "a finalizer was lost, or ran twice";
  heap.ExpectSound();
  EXPECT_EQ(heap.Stats().live_bytes, kBallastMiB * kMiB);
  heap.kept.clear();
  heap.Collect();
  EXPECT_EQ(heap.Stats().live_bytes, 0u);
  EXPECT_EQ(heap.Stats().span_bytes, 0u);
  heap.ExpectSound();
}

}  // namespace
}  // namespace loam_test
