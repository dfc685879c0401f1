// The heap profile: for each call stack, type and size of which allocations
// have been sampled, how many objects they stand for, and how many of these
// have died.
//
// What a profile says is true of one moment, the end of a marking: of what has
// been allocated until then, everything is counted, and of what has died,
// everything that this marking has found dead. Moments have numbers: n + 1 is
// the end of marking n, counted from 1 on. The number is one more because the
// deaths are counted later, by sweeping: moment n + 1 can be told when all that
// marking n has left is swept, and at the latest when marking n + 1 is over.
// Counts wait in a bucket until their moment can be told, in slots by cycle.
// With c collections over,
//
//   an allocation  belongs to the end of the next marking, c + 1: moment c + 2
//   a death        belongs to the end of the marking that found it, the last
//                  one, c: moment c + 1
//
// and an object that is allocated now can be found dead by marking c + 1 at
// the earliest, when its death belongs to moment c + 2, too. So at any moment
// what is there is what was allocated less what has died, and never negative.
// As Go's runtime has it; but no pass over all buckets ends a cycle: each
// bucket remembers when it was last brought up to date, and is again when
// something is counted in it, or read.
//
// Buckets are never removed. There are kMaxBuckets at most, and they take
// kMaxBytes at most: memory of the heap's own, of one with a limit a 32nd of
// that at most. Call stacks that come later are counted together, by type and
// size, in buckets without a stack. When these have taken an eighth more,
// samples are lost.
//
// Thread-safe.

#ifndef LOAM_RUNTIME_SPECIALS_HEAP_PROFILE_H_
#define LOAM_RUNTIME_SPECIALS_HEAP_PROFILE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/base/mutex.h"
#include "runtime/heap/heap_counters.h"
#include "runtime/heap/metadata_allocator.h"
#include "runtime/heap/type_layout.h"

namespace loam {

// What a sampled object is, if it has no type of the embedder's.
enum class ProfiledObject : uint8_t {
  kTyped,
  kBytes,
  kSlots,
  kBitmap,
  kAmbiguous,
};

// Frames, innermost first: those of the embedder's language, two words each (a
// function and a line), then return addresses.
struct CallStack {
  static constexpr size_t kMaxEmbedderFrames = 64;
  static constexpr size_t kMaxNativeFrames = 64;
  static constexpr size_t kMaxWords = 2 * kMaxEmbedderFrames + kMaxNativeFrames;

  uint16_t embedder_frames = 0;
  uint16_t native_frames = 0;
  uintptr_t words[kMaxWords];

  size_t word_count() const {
    return 2 * size_t{embedder_frames} + native_frames;
  }
};

// What is allocated.
struct ProfiledCell {
  const Type* type;  // ProfiledObject::kTyped; otherwise NULL
  size_t cell_bytes;
  ProfiledObject object;

  bool operator==(const ProfiledCell&) const = default;
};

// What a bucket counts. Objects are those that samples stand for.
struct ProfileCounts {
  uint64_t allocated_samples, freed_samples;
  double allocated_objects, freed_objects;

  void Add(const ProfileCounts& other) {
    allocated_samples += other.allocated_samples;
    freed_samples += other.freed_samples;
    allocated_objects += other.allocated_objects;
    freed_objects += other.freed_objects;
  }
};

struct ProfileBucket {
  // Constant, but for `next`.
  ProfileBucket* next;   // in its chain of the table: the profile's
  ProfileBucket* older;  // in the list of all
  uint64_t hash;
  ProfiledCell cell;
  uint16_t embedder_frames;
  uint16_t native_frames;
  // Up to date when so many collections were over. This and what follows is
  // guarded by the profile's lock.
  uint64_t cycle;
  ProfileCounts published;   // up to the moment `cycle`
  ProfileCounts waiting[2];  // for the moments cycle + 1 and cycle + 2
  // The stack's words follow.

  uintptr_t* words() { return reinterpret_cast<uintptr_t*>(this + 1); }
  const uintptr_t* words() const {
    return reinterpret_cast<const uintptr_t*>(this + 1);
  }
  size_t word_count() const {
    return 2 * size_t{embedder_frames} + native_frames;
  }
};

class HeapProfile {
 public:
  static constexpr size_t kMaxBuckets = size_t{1} << 16;
  static constexpr size_t kMaxBytes = size_t{16} << 20;

  explicit HeapProfile(PersistentAllocator* persistent)
      : persistent_(persistent) {}
  ~HeapProfile();
  HeapProfile(const HeapProfile&) = delete;
  HeapProfile& operator=(const HeapProfile&) = delete;

  // Where samples of this stack and cell are counted; NULL when out of memory,
  // or when there are too many.
  ProfileBucket* BucketOf(const CallStack& stack, const ProfiledCell& cell)
      LOAM_EXCLUDES(mutex_);
  // A sampled object has been allocated; it stands for `objects`.
  void CountAllocated(ProfileBucket* bucket, double objects)
      LOAM_EXCLUDES(mutex_);
  // Its death has been found by the last marking.
  void CountFreed(ProfileBucket* bucket, double objects) LOAM_EXCLUDES(mutex_);
  // Counts in hindsight one that was allocated between the last marking and the
  // one before, and with it, if so, its death, found by the last.
  void CountYoung(ProfileBucket* bucket, double objects, bool died)
      LOAM_EXCLUDES(mutex_);
  // Samples that there was no memory for.
  void CountLost() { lost_samples_.Add(1); }
  uint64_t lost_samples() const { return lost_samples_.Get(); }

  // The marking of a cycle is over. The world is stopped, and nobody sweeps;
  // but whoever writes a profile goes on.
  void EndMarking() LOAM_EXCLUDES(mutex_) {
    const MutexLock lock(&mutex_);
    cycles_.store(cycles() + 1, std::memory_order_relaxed);
  }
  // In the same stop, when they may again.
  void BeginSweeping() { sweeping_.store(cycles(), std::memory_order_release); }
  // How many markings are over. Relaxed: whoever counts does so between two
  // stops of the world, or has got a span to sweep since the last.
  uint64_t cycles() const { return cycles_.load(std::memory_order_relaxed); }
  // The same, but that of the last marking only when sweeping has begun. If
  // nobody has anything to sweep after this call, everything that this marking
  // found dead has been counted, and Read may be asked for one moment more.
  uint64_t sweeping() const {
    return sweeping_.load(std::memory_order_acquire);
  }

  struct Reading {
    const ProfileBucket* bucket;
    ProfileCounts counts;
  };
  size_t bucket_count() LOAM_EXCLUDES(mutex_);
  // Reads the counts of every bucket into `readings`; how many buckets there
  // are, which is more than `capacity` if there was no room for all. They are
  // all of the same moment: `moment`, or number cycles() if that is later.
  // Before the first marking is over everything is told. Moment 1, which comes
  // before the first marking, has nothing in it.
  size_t Read(uint64_t moment, Reading* readings, size_t capacity)
      LOAM_EXCLUDES(mutex_);

  void LockForFork() { mutex_.LockForFork(); }
  void UnlockAfterFork() { mutex_.UnlockAfterFork(); }

 private:
  // NULL when out of memory; of Find, if there is none.
  ProfileBucket* FindOrAdd(const CallStack& stack, const ProfiledCell& cell)
      LOAM_REQUIRES(mutex_);
  ProfileBucket* Find(const CallStack& stack, const ProfiledCell& cell,
                      uint64_t hash) LOAM_REQUIRES(mutex_);
  ProfileBucket* Add(const CallStack& stack, const ProfiledCell& cell,
                     uint64_t hash) LOAM_REQUIRES(mutex_);
  bool Grow() LOAM_REQUIRES(mutex_);
  // Of the buckets and their table.
  size_t MaxBytes() const;
  // Brings the bucket up to date; `now` is cycles().
  static void Advance(ProfileBucket* bucket, uint64_t now);

  PersistentAllocator* const persistent_;
  // Changes under the lock, while the world is stopped.
  std::atomic<uint64_t> cycles_{0};
  // Release and acquire: goes with the state of sweeping.
  std::atomic<uint64_t> sweeping_{0};
  Counter lost_samples_;
  Mutex<LockRank::kHeapProfile> mutex_;
  // Chains of buckets by hash; `heads_` is a power of two, or 0.
  ProfileBucket** table_ LOAM_GUARDED_BY(mutex_) = nullptr;
  size_t heads_ LOAM_GUARDED_BY(mutex_) = 0;
  ProfileBucket* newest_ LOAM_GUARDED_BY(mutex_) = nullptr;
  size_t bucket_count_ LOAM_GUARDED_BY(mutex_) = 0;
  size_t bytes_ LOAM_GUARDED_BY(mutex_) = 0;  // of the buckets and the table
};

}  // namespace loam

#endif  // LOAM_RUNTIME_SPECIALS_HEAP_PROFILE_H_
