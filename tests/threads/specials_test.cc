// Several threads add and take away specials of every kind while spans are
// swept, and load weak handles while what they refer to dies.

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <mutex>
#include <random>
#include <shared_mutex>
#include <vector>

#include "api/loam.h"
#include "api/loam_specials.h"
#include "tests/threads/thread_test.h"

namespace loam_test {
namespace {

loam_options BusyOptions() {
  loam_options options = TestOptions();
  options.minimum_heap_bytes = 1 << 20;
  options.no_background = 0;
  options.check.poison = 1;
  return options;
}

struct Counts {
  std::atomic<uint64_t> finalizers_set{0}, finalizers_ran{0};
  std::atomic<uint64_t> cleanups_added{0}, cleanups_stopped{0}, cleanups_ran{0};
  std::atomic<uint64_t> words_set{0}, words_removed{0}, words_died{0};
};

// Each thread has objects of its own with any specials; all share the spans.
TEST(SpecialsThreadsTest, NothingIsLostWhileSpansAreSwept) {
  constexpr int kThreads = 4;
  constexpr size_t kObjects = 100;
  const uint64_t seed = TestSeed();
  const Deadline deadline(TestSeconds(2));
  TestHeap heap(BusyOptions());
  Counts counts;
  loam_special_kind* kind = nullptr;
  ASSERT_EQ(loam_special_kind_create(
                heap.heap(),
                [](loam_mutator*, loam_word, void* data) {
                  static_cast<Counts*>(data)->words_died++;
                },
                &counts, &kind),
            LOAM_OK);
  std::atomic<uint64_t> wrong{0};
  RunThreads(heap, kThreads, [&](loam_mutator* m, int t) {
    std::mt19937_64 random(seed + static_cast<uint64_t>(t));
    struct Object {
      uint64_t* words = nullptr;  // rooted
      bool has_finalizer = false;
      bool has_word = false;
      std::vector<loam_cleanup> cleanups;
      loam_weak_handle* handle = nullptr;  // of it, or of one before it
      uint64_t number = 0;                 // of what the handle refers to
      loam_watch* watch = nullptr;
    };
    std::vector<Object> objects(kObjects);
    loam_root* root = nullptr;
    ASSERT_EQ(
        loam_mutator_root_provider_add(
            m,
            [](loam_visitor* visitor, void* data) {
              for (const Object& o : *static_cast<std::vector<Object>*>(data)) {
                loam_visit_pointer(visitor, o.words);
              }
            },
            &objects, "objects", &root),
        LOAM_OK);
    const auto finalizer = [](loam_mutator*, void* object, void* data) {
      // Nothing is freed before its finalizer.
      const auto* words = static_cast<uint64_t*>(object);
      EXPECT_EQ(words[0], ~words[1]);
      static_cast<Counts*>(data)->finalizers_ran++;
    };
    const auto cleanup = [](loam_mutator*, loam_word value, void* data) {
      EXPECT_EQ(*reinterpret_cast<uint64_t*>(value), 0x1234567u);
      static_cast<Counts*>(data)->cleanups_ran++;
    };
    while (deadline.Running()) {
      Object& o = objects[random() % kObjects];
      if (o.words == nullptr) {
        const size_t bytes = random() % 50 == 0 ? 40000 : 16 << random() % 5;
        o.words = static_cast<uint64_t*>(loam_alloc_bytes(m, bytes));
        ASSERT_NE(o.words, nullptr);
        o.words[0] = random();
        o.words[1] = ~o.words[0];
      }
      switch (random() % 8) {
        case 0: {
          if (o.has_finalizer) {
            ASSERT_EQ(loam_finalizer_clear(m, o.words), LOAM_OK);
            counts.finalizers_set--;
          } else {
            ASSERT_EQ(loam_finalizer_set(m, o.words, finalizer, &counts,
                                         random() % 2 == 0
                                             ? LOAM_FINALIZER_ORDERED
                                             : LOAM_FINALIZER_UNORDERED),
                      LOAM_OK);
            counts.finalizers_set++;
          }
          o.has_finalizer = !o.has_finalizer;
          break;
        }
        case 1: {
          auto* value = static_cast<uint64_t*>(loam_alloc_bytes(m, 24));
          *value = 0x1234567;
          loam_cleanup added;
          ASSERT_EQ(loam_cleanup_add(m, o.words, cleanup,
                                     reinterpret_cast<loam_word>(value),
                                     &counts, &added),
                    LOAM_OK);
          counts.cleanups_added++;
          o.cleanups.push_back(added);
          break;
        }
        case 2: {
          if (o.cleanups.empty()) break;
          const size_t i = random() % o.cleanups.size();
          ASSERT_EQ(loam_cleanup_stop(m, &o.cleanups[i]), LOAM_OK);
          counts.cleanups_stopped++;
          o.cleanups.erase(o.cleanups.begin() + static_cast<ptrdiff_t>(i));
          break;
        }
        case 3: {
          loam_word word;
          if (o.has_word) {
            ASSERT_EQ(loam_special_remove(m, o.words, kind, &word), LOAM_OK);
            EXPECT_EQ(word, o.words[0]);
            counts.words_removed++;
          } else {
            ASSERT_EQ(loam_special_set(m, o.words, kind, o.words[0]), LOAM_OK);
            counts.words_set++;
          }
          o.has_word = !o.has_word;
          break;
        }
        case 4: {
          if (o.handle != nullptr) {
            const auto* words =
                static_cast<uint64_t*>(loam_weak_handle_get(m, o.handle));
            if (words != nullptr &&
                (words[0] != o.number || words[1] != ~o.number)) {
              wrong++;
            }
            if (o.words[0] == o.number && words != o.words) wrong++;
            ASSERT_EQ(loam_weak_handle_destroy(m, o.handle), LOAM_OK);
          }
          ASSERT_EQ(loam_weak_handle_create(
                        m, o.words,
                        random() % 2 == 0 ? LOAM_WEAK_SHORT : LOAM_WEAK_LONG,
                        &o.handle),
                    LOAM_OK);
          o.number = o.words[0];
          break;
        }
        case 5: {
          if (o.watch != nullptr) {
            (void)loam_watch_get(m, o.watch);
            ASSERT_EQ(loam_watch_destroy(m, o.watch), LOAM_OK);
          }
          ASSERT_EQ(loam_watch_create(m, o.words, &o.watch), LOAM_OK);
          break;
        }
        case 6: {
          ASSERT_EQ(loam_pin(m, o.words), LOAM_OK);
          loam_alloc_bytes(m, random() % 500);  // garbage, and collections
          ASSERT_EQ(loam_unpin(m, o.words), LOAM_OK);
          break;
        }
        default:
          o.words = nullptr;
          o.has_finalizer = false;
          o.has_word = false;
          o.cleanups.clear();
      }
      if (random() % 64 == 0) {
        (void)loam_finalizers_run(m, random() % 20, nullptr, nullptr);
      }
    }
    for (Object& o : objects) {
      if (o.handle != nullptr) {
        ASSERT_EQ(loam_weak_handle_destroy(m, o.handle), LOAM_OK);
      }
      if (o.watch != nullptr) {
        ASSERT_EQ(loam_watch_destroy(m, o.watch), LOAM_OK);
      }
    }
    ASSERT_EQ(loam_root_remove(root), LOAM_OK);
  });
  EXPECT_EQ(wrong.load(), 0u);
  EXPECT_GT(heap.Stats().cycles, 3u);
  for (int i = 0; i < 3; i++) {
    heap.Collect();
    ASSERT_EQ(loam_finalizers_run(heap.m(), 0, nullptr, nullptr), LOAM_OK);
  }
  heap.Collect();
  printf("%llu collections, %llu finalizers, %llu cleanups, %llu words\n",
         static_cast<unsigned long long>(heap.Stats().cycles),
         static_cast<unsigned long long>(counts.finalizers_ran.load()),
         static_cast<unsigned long long>(counts.cleanups_ran.load()),
         static_cast<unsigned long long>(counts.words_died.load()));
  // Each exactly once.
  EXPECT_EQ(counts.finalizers_ran.load(), counts.finalizers_set.load());
  EXPECT_EQ(counts.cleanups_ran.load(),
            counts.cleanups_added.load() - counts.cleanups_stopped.load());
  EXPECT_EQ(counts.words_died.load(),
            counts.words_set.load() - counts.words_removed.load());
  EXPECT_GT(counts.finalizers_ran.load(), 100u);
  EXPECT_GT(counts.cleanups_ran.load(), 100u);
  const loam_stats stats = heap.Stats();
  EXPECT_EQ(stats.live_objects, 0u);
  EXPECT_EQ(stats.finalizers_set, 0u);
  EXPECT_EQ(stats.cleanups_set, 0u);
  EXPECT_EQ(stats.weak_handles, 0u);
  EXPECT_EQ(stats.pinned_objects, 0u);
  heap.ExpectSound();
}

// A table of weak handles that all threads load. Its owner, one thread for each
// entry, makes objects, keeps some of them alive and drops others.
TEST(SpecialsThreadsTest, WeakLoadsRaceWithSweeping) {
  constexpr int kThreads = 4;
  constexpr size_t kEntries = 256;
  const uint64_t seed = TestSeed();
  const Deadline deadline(TestSeconds(2));
  TestHeap heap(BusyOptions());
  struct Entry {
    std::shared_mutex mutex;  // guards the others
    loam_weak_handle* handle = nullptr;
    uint64_t number = 0;
    bool is_kept = false;  // by its owner's root
  };
  std::vector<std::array<Entry, kEntries>> tables(kThreads);
  std::atomic<uint64_t> live_loads{0}, dead_loads{0}, dead_seen{0},
      live_missed{0};
  const auto check = [&](const Entry& entry, const uint64_t* words) {
    if (words == nullptr) {
      dead_loads++;
      if (entry.is_kept) live_missed++;
      return;
    }
    live_loads++;
    if (words[0] != entry.number || words[1] != ~entry.number) dead_seen++;
  };
  RunThreads(heap, kThreads, [&](loam_mutator* m, int t) {
    std::mt19937_64 random(seed + static_cast<uint64_t>(t));
    std::array<Entry, kEntries>& mine = tables[static_cast<size_t>(t)];
    std::vector<void*> kept(kEntries, nullptr);
    loam_root* root = nullptr;
    ASSERT_EQ(loam_mutator_root_provider_add(
                  m,
                  [](loam_visitor* visitor, void* data) {
                    const auto& all = *static_cast<std::vector<void*>*>(data);
                    loam_visit_pointer_range(visitor, all.data(), all.size());
                  },
                  &kept, "kept", &root),
              LOAM_OK);
    while (deadline.Running()) {
      const size_t i = random() % kEntries;
      switch (random() % 8) {
        case 0: {  // A new object for the entry.
          const size_t bytes = random() % 40 == 0 ? 40000 : 16 << random() % 5;
          auto* words = static_cast<uint64_t*>(loam_alloc_bytes(m, bytes));
          ASSERT_NE(words, nullptr);
          Entry& entry = mine[i];
          // No safepoint while the lock is held: others wait for it running.
          const std::unique_lock lock(entry.mutex);
          if (entry.handle != nullptr) {
            ASSERT_EQ(loam_weak_handle_destroy(m, entry.handle), LOAM_OK);
          }
          entry.number = random();
          words[0] = entry.number;
          words[1] = ~entry.number;
          ASSERT_EQ(
              loam_weak_handle_create(m, words, LOAM_WEAK_SHORT, &entry.handle),
              LOAM_OK);
          kept[i] = words;
          entry.is_kept = true;
          break;
        }
        case 1: {  // It may die.
          const std::unique_lock lock(mine[i].mutex);
          mine[i].is_kept = false;
          kept[i] = nullptr;
          break;
        }
        case 2:
          loam_alloc_bytes(m, random() % 2000);
          break;
        default: {
          const Entry& entry = tables[random() % kThreads][i];
          const std::shared_lock lock(
              const_cast<std::shared_mutex&>(entry.mutex));
          if (entry.handle == nullptr) break;
          check(entry,
                static_cast<uint64_t*>(loam_weak_handle_get(m, entry.handle)));
        }
      }
    }
    ASSERT_EQ(loam_root_remove(root), LOAM_OK);
  });
  for (auto& table : tables) {
    for (Entry& entry : table) {
      if (entry.handle == nullptr) continue;
      ASSERT_EQ(loam_weak_handle_destroy(heap.m(), entry.handle), LOAM_OK);
    }
  }
  printf("%llu collections, %llu loads of live objects, %llu of dead ones\n",
         static_cast<unsigned long long>(heap.Stats().cycles),
         static_cast<unsigned long long>(live_loads.load()),
         static_cast<unsigned long long>(dead_loads.load()));
  EXPECT_EQ(dead_seen.load(), 0u);
  EXPECT_EQ(live_missed.load(), 0u);
  EXPECT_GT(live_loads.load(), 1000u);
  EXPECT_GT(dead_loads.load(), 1000u);
  EXPECT_EQ(heap.Stats().weak_handles, 0u);
}

// Weak words and a weak map, under the same conditions: here the collector
// clears while all stand still.
TEST(SpecialsThreadsTest, WeakMapsOfSeveralThreads) {
  constexpr int kThreads = 4;
  constexpr size_t kKeys = 300;
  const uint64_t seed = TestSeed();
  const Deadline deadline(TestSeconds(1));
  TestHeap heap(BusyOptions());
  std::atomic<uint64_t> found{0}, missing{0}, wrong{0};
  RunThreads(heap, kThreads, [&](loam_mutator* m, int t) {
    std::mt19937_64 random(seed + static_cast<uint64_t>(t));
    // The last one is the map.
    std::vector<void*> kept(kKeys + 1, nullptr);
    loam_root* root = nullptr;
    ASSERT_EQ(loam_mutator_root_provider_add(
                  m,
                  [](loam_visitor* visitor, void* data) {
                    const auto& all = *static_cast<std::vector<void*>*>(data);
                    loam_visit_pointer_range(visitor, all.data(), all.size());
                  },
                  &kept, "keys", &root),
              LOAM_OK);
    void* map = kept[kKeys] = loam_weak_map_new(m);
    ASSERT_NE(map, nullptr);
    while (deadline.Running()) {
      const size_t i = random() % kKeys;
      if (kept[i] == nullptr) {
        kept[i] = loam_alloc_bytes(m, 16 << random() % 5);
        // The value is the key's number, in an object of its own.
        auto* value = static_cast<uint64_t*>(loam_alloc_bytes(m, 32));
        *value = reinterpret_cast<uint64_t>(kept[i]);
        ASSERT_EQ(
            loam_weak_map_set(m, map, reinterpret_cast<loam_word>(kept[i]),
                              reinterpret_cast<loam_word>(value)),
            LOAM_OK);
      } else if (random() % 3 == 0) {
        kept[i] = nullptr;
      } else {
        const auto key = reinterpret_cast<loam_word>(kept[i]);
        loam_word value = 0;
        if (loam_weak_map_get(m, map, key, &value) != LOAM_OK) {
          missing++;
        } else if (*reinterpret_cast<uint64_t*>(value) != key) {
          wrong++;
        } else {
          found++;
        }
      }
    }
    ASSERT_EQ(loam_collect(m, LOAM_COLLECT_FULL), LOAM_OK);
    size_t keys = 0;
    for (size_t i = 0; i < kKeys; i++) keys += kept[i] != nullptr ? 1 : 0;
    EXPECT_EQ(loam_weak_map_count(m, map), keys);
    ASSERT_EQ(loam_root_remove(root), LOAM_OK);
  });
  EXPECT_EQ(missing.load(), 0u);
  EXPECT_EQ(wrong.load(), 0u);
  EXPECT_GT(found.load(), 1000u);
  heap.Collect();
  EXPECT_EQ(heap.Stats().live_objects, 0u);
  heap.ExpectSound();
}

}  // namespace
}  // namespace loam_test
