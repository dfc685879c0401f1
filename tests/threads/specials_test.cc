// Several threads add and take away specials of every kind while spans are
// swept, and load weak handles while what they refer to dies.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <iterator>
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

// Every object is told by its number: which size it has, and what it holds, to
// be known also to whom only the number is given.
struct Size {
  size_t bytes;
  bool is_disposed;  // of the type that has a dispose function
};
constexpr Size kSizes[] = {
    {1, false},  {3, false},   {8, false},  {15, false},    {16, false},
    {24, false}, {48, false},  {48, true},  {100, false},   {256, false},
    {48, true},  {8, false},   {32, false}, {1000, false},  {16, false},
    {64, false}, {120, false}, {2, false},  {40000, false},
};
const Size& SizeOf(uint64_t number) {
  return kSizes[number % std::size(kSizes)];
}

void Write(void* object, uint64_t number) {
  const uint64_t content[] = {number, ~number};
  memcpy(object, content, std::min(SizeOf(number).bytes, sizeof(content)));
}

bool Holds(const void* object, uint64_t number) {
  const uint64_t content[] = {number, ~number};
  return memcmp(object, content,
                std::min(SizeOf(number).bytes, sizeof(content))) == 0;
}

// Where in an object a call may be given its address; byte objects of up to 16
// bytes are known by their first byte only.
size_t Offset(uint64_t number, uint64_t random) {
  const Size& size = SizeOf(number);
  return size.bytes > 16 && random % 2 == 0 ? random / 2 % size.bytes : 0;
}

struct Counts {
  std::atomic<uint64_t> finalizers_set{0}, finalizers_ran{0};
  std::atomic<uint64_t> cleanups_added{0}, cleanups_stopped{0}, cleanups_ran{0};
  std::atomic<uint64_t> words_set{0}, words_removed{0}, words_died{0};
  std::atomic<uint64_t> disposable_made{0}, disposed{0};
};
// A dispose function is given nothing else.
Counts* counts = nullptr;

const loam_type* RegisterDisposed(const TestHeap& heap) {
  loam_type_info info = LOAM_TYPE_INFO_INIT;
  info.name = "disposed";
  info.size = 48;
  info.flags = LOAM_TYPE_DISPOSE_QUEUED;
  info.dispose = [](void* object, size_t) {
    uint64_t number;
    memcpy(&number, object, sizeof(number));
    EXPECT_TRUE(SizeOf(number).is_disposed && Holds(object, number));
    counts->disposed++;
  };
  const loam_type* type = nullptr;
  EXPECT_EQ(loam_type_register(heap.types(), &info, &type), LOAM_OK);
  return type;
}

void* New(loam_mutator* m, const loam_type* disposed, uint64_t number) {
  const Size& size = SizeOf(number);
  void* object = size.is_disposed ? loam_alloc(m, disposed)
                                  : loam_alloc_bytes(m, size.bytes);
  EXPECT_NE(object, nullptr);
  Write(object, number);
  if (size.is_disposed) counts->disposable_made++;
  return object;
}

// Each thread has objects of its own with any specials; all share the spans.
TEST(SpecialsThreadsTest, NothingIsLostWhileSpansAreSwept) {
  constexpr int kThreads = 4;
  constexpr size_t kObjects = 100;
  const uint64_t seed = TestSeed();
  const Deadline deadline(TestSeconds(2));
  Counts all;
  counts = &all;
  TestHeap heap(BusyOptions());
  const loam_type* disposed = RegisterDisposed(heap);
  loam_special_kind* kind = nullptr;
  ASSERT_EQ(loam_special_kind_create(
                heap.heap(),
                [](loam_mutator*, loam_word, void*) { counts->words_died++; },
                nullptr, &kind),
            LOAM_OK);
  std::atomic<uint64_t> wrong{0};
  RunThreads(heap, kThreads, [&](loam_mutator* m, int t) {
    std::mt19937_64 random(seed + static_cast<uint64_t>(t));
    struct Object {
      uint64_t number = 0;
      bool has_finalizer = false;
      bool has_word = false;
      std::vector<loam_cleanup> cleanups;
      // Of this object, or of one that was here before.
      loam_weak_handle* handle = nullptr;
      uint64_t handle_number = 0;
      char* handle_object = nullptr;
      size_t handle_offset = 0;
      loam_watch* watch = nullptr;
    };
    std::vector<Object> objects(kObjects);
    ScopedRoots roots(m, kObjects);
    const auto finalizer = [](loam_mutator*, void* object, void* data) {
      // Nothing is freed before its finalizer.
      EXPECT_TRUE(Holds(object, reinterpret_cast<uint64_t>(data)));
      counts->finalizers_ran++;
    };
    const auto cleanup = [](loam_mutator*, loam_word value, void* data) {
      EXPECT_EQ(*reinterpret_cast<uint64_t*>(value),
                reinterpret_cast<uint64_t>(data));
      counts->cleanups_ran++;
    };
    while (deadline.Running()) {
      const size_t index = random() % kObjects;
      Object& o = objects[index];
      if (roots[index] == nullptr) {
        o.number = random();
        roots[index] = New(m, disposed, o.number);
      }
      char* const object = static_cast<char*>(roots[index]);
      const size_t offset = Offset(o.number, random());
      char* const address = object + offset;
      void* const number = reinterpret_cast<void*>(o.number);
      switch (random() % 8) {
        case 0: {
          if (o.has_finalizer) {
            ASSERT_EQ(loam_finalizer_clear(m, address), LOAM_OK);
            counts->finalizers_set--;
          } else {
            ASSERT_EQ(loam_finalizer_set(m, address, finalizer, number,
                                         random() % 2 == 0
                                             ? LOAM_FINALIZER_ORDERED
                                             : LOAM_FINALIZER_UNORDERED),
                      LOAM_OK);
            counts->finalizers_set++;
          }
          o.has_finalizer = !o.has_finalizer;
          break;
        }
        case 1: {
          auto* value = static_cast<uint64_t*>(loam_alloc_bytes(m, 24));
          *value = o.number;
          loam_cleanup added;
          ASSERT_EQ(loam_cleanup_add(m, address, cleanup,
                                     reinterpret_cast<loam_word>(value), number,
                                     &added),
                    LOAM_OK);
          counts->cleanups_added++;
          o.cleanups.push_back(added);
          break;
        }
        case 2: {
          if (o.cleanups.empty()) break;
          const size_t i = random() % o.cleanups.size();
          ASSERT_EQ(loam_cleanup_stop(m, &o.cleanups[i]), LOAM_OK);
          counts->cleanups_stopped++;
          o.cleanups.erase(o.cleanups.begin() + static_cast<ptrdiff_t>(i));
          break;
        }
        case 3: {
          loam_word word;
          if (o.has_word) {
            ASSERT_EQ(loam_special_remove(m, address, kind, &word), LOAM_OK);
            EXPECT_EQ(word, o.number);
            counts->words_removed++;
          } else {
            ASSERT_EQ(loam_special_set(m, address, kind, o.number), LOAM_OK);
            counts->words_set++;
          }
          o.has_word = !o.has_word;
          break;
        }
        case 4: {
          if (o.handle != nullptr) {
            const void* found = loam_weak_handle_get(m, o.handle);
            if (found != nullptr &&
                (found != o.handle_object + o.handle_offset ||
                 !Holds(o.handle_object, o.handle_number))) {
              wrong++;
            }
            if (found == nullptr && o.number == o.handle_number) wrong++;
            ASSERT_EQ(loam_weak_handle_destroy(m, o.handle), LOAM_OK);
          }
          ASSERT_EQ(loam_weak_handle_create(
                        m, address,
                        random() % 2 == 0 ? LOAM_WEAK_SHORT : LOAM_WEAK_LONG,
                        &o.handle),
                    LOAM_OK);
          o.handle_number = o.number;
          o.handle_object = object;
          o.handle_offset = offset;
          break;
        }
        case 5: {
          if (o.watch != nullptr) {
            (void)loam_watch_get(m, o.watch);
            ASSERT_EQ(loam_watch_destroy(m, o.watch), LOAM_OK);
          }
          ASSERT_EQ(loam_watch_create(m, address, &o.watch), LOAM_OK);
          break;
        }
        case 6: {
          ASSERT_EQ(loam_pin(m, address), LOAM_OK);
          loam_alloc_bytes(m, random() % 500);  // garbage, and collections
          ASSERT_EQ(loam_unpin(m, object), LOAM_OK);
          break;
        }
        default:
          if (!Holds(object, o.number)) wrong++;
          roots[index] = nullptr;
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
  });
  EXPECT_EQ(wrong.load(), 0u);
  EXPECT_GT(heap.Stats().cycles, 3u);
  for (int i = 0; i < 3; i++) {
    heap.Collect();
    ASSERT_EQ(loam_finalizers_run(heap.m(), 0, nullptr, nullptr), LOAM_OK);
  }
  heap.Collect();
  printf(
      "%llu collections, %llu finalizers, %llu cleanups, %llu words, "
      "%llu disposed\n",
      static_cast<unsigned long long>(heap.Stats().cycles),
      static_cast<unsigned long long>(all.finalizers_ran.load()),
      static_cast<unsigned long long>(all.cleanups_ran.load()),
      static_cast<unsigned long long>(all.words_died.load()),
      static_cast<unsigned long long>(all.disposed.load()));
  // Each exactly once.
  EXPECT_EQ(all.finalizers_ran.load(), all.finalizers_set.load());
  EXPECT_EQ(all.cleanups_ran.load(),
            all.cleanups_added.load() - all.cleanups_stopped.load());
  EXPECT_EQ(all.words_died.load(),
            all.words_set.load() - all.words_removed.load());
  EXPECT_EQ(all.disposed.load(), all.disposable_made.load());
  EXPECT_GT(all.finalizers_ran.load(), 100u);
  EXPECT_GT(all.cleanups_ran.load(), 100u);
  EXPECT_GT(all.disposed.load(), 100u);
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
//
// A dead object of a span that is not swept yet still holds what it held: so a
// load that returned one would look right at once. What is loaded is kept, and
// looked at again after spans have been swept, their cells poisoned or used by
// other objects.
TEST(SpecialsThreadsTest, WeakLoadsRaceWithSweeping) {
  constexpr int kThreads = 4;
  constexpr size_t kEntries = 256;
  constexpr size_t kLoaded = 64;
  const uint64_t seed = TestSeed();
  const Deadline deadline(TestSeconds(2));
  Counts all;
  counts = &all;
  TestHeap heap(BusyOptions());
  const loam_type* disposed = RegisterDisposed(heap);
  struct Entry {
    std::shared_mutex mutex;  // guards the others
    loam_weak_handle* handle = nullptr;
    uint64_t number = 0;
    size_t offset = 0;     // of the handle's address in the object
    bool is_kept = false;  // by its owner's root
  };
  std::vector<std::array<Entry, kEntries>> tables(kThreads);
  std::atomic<uint64_t> live_loads{0}, dead_loads{0}, dead_seen{0},
      dead_kept{0}, live_missed{0};
  RunThreads(heap, kThreads, [&](loam_mutator* m, int t) {
    std::mt19937_64 random(seed + static_cast<uint64_t>(t));
    std::array<Entry, kEntries>& mine = tables[static_cast<size_t>(t)];
    ScopedRoots kept(m, kEntries);
    ScopedRoots loaded(m, kLoaded);
    std::vector<uint64_t> loaded_numbers(kLoaded);
    const auto check_loaded = [&](size_t i) {
      if (loaded[i] != nullptr && !Holds(loaded[i], loaded_numbers[i])) {
        dead_kept++;
      }
    };
    while (deadline.Running()) {
      const size_t i = random() % kEntries;
      switch (random() % 8) {
        case 0: {  // A new object for the entry.
          const uint64_t number = random();
          auto* object = static_cast<char*>(New(m, disposed, number));
          Entry& entry = mine[i];
          // No safepoint while the lock is held: others wait for it running.
          const std::unique_lock lock(entry.mutex);
          if (entry.handle != nullptr) {
            ASSERT_EQ(loam_weak_handle_destroy(m, entry.handle), LOAM_OK);
          }
          entry.number = number;
          entry.offset = Offset(number, random());
          ASSERT_EQ(loam_weak_handle_create(m, object + entry.offset,
                                            LOAM_WEAK_SHORT, &entry.handle),
                    LOAM_OK);
          kept[i] = object;
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
          if (random() % 64 == 0) {
            (void)loam_finalizers_run(m, 0, nullptr, nullptr);
          }
          break;
        default: {
          Entry& entry = tables[random() % kThreads][i];
          const size_t j = random() % kLoaded;
          check_loaded(j);
          const std::shared_lock lock(entry.mutex);
          if (entry.handle == nullptr) break;
          auto* address =
              static_cast<char*>(loam_weak_handle_get(m, entry.handle));
          if (address == nullptr) {
            dead_loads++;
            if (entry.is_kept) live_missed++;
            break;
          }
          live_loads++;
          loaded[j] = address - entry.offset;
          loaded_numbers[j] = entry.number;
          if (!Holds(loaded[j], entry.number)) dead_seen++;
        }
      }
    }
    ASSERT_EQ(loam_collect(m, LOAM_COLLECT_FULL), LOAM_OK);
    for (size_t i = 0; i < kLoaded; i++) check_loaded(i);
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
  EXPECT_EQ(dead_kept.load(), 0u);
  EXPECT_EQ(live_missed.load(), 0u);
  EXPECT_GT(live_loads.load(), 1000u);
  EXPECT_GT(dead_loads.load(), 1000u);
  EXPECT_EQ(heap.Stats().weak_handles, 0u);
  heap.ExpectSound();
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
    ScopedRoots kept(m, kKeys + 1);
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
