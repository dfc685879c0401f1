// Specials: records about single objects, kept outside them.
//
// The specials of a span's objects form one list, sorted by (address, kind, id)
// (special_list.h). It is guarded by the span's specials_lock and changed only
// by someone who knows that the span is swept: its sweeper, or a caller of
// Sweeper::EnsureSwept.

#ifndef LOAM_RUNTIME_SPECIALS_SPECIAL_H_
#define LOAM_RUNTIME_SPECIALS_SPECIAL_H_

#include <cstddef>
#include <cstdint>

#include "runtime/specials/weak_handle.h"

struct loam_mutator;

namespace loam {

struct ProfileBucket;
struct WaitingCells;

using FinalizerCallback = void (*)(loam_mutator* m, void* object, void* data);
using CleanupCallback = void (*)(loam_mutator* m, uintptr_t value, void* data);

// A kind of record of the embedder's own; lives as long as its heap.
struct EmbedderKind {
  // The object has died and `word` was set for it; NULL: nobody asks.
  void (*died)(loam_mutator* m, uintptr_t word, void* data);
  void* data;
  const void* owner;  // the heap
};

// What a record says, and what becomes of it; see docs/specials.md for when.
//
//   kind              of an object  address      marking          at its death
//   kFinalizer        one           the object   its references   queued
//   kWeakHandle       one a place   in it        -                cleared
//   kLongWeakHandle   one a place   in it        -                cleared later
//   kWatch            many          the object   -                told, always
//   kPin              one, counted  the object   root             -
//   kEmbedder         one a kind    the object   -                queued later
//   kCleanup          many          the object   its value        queued later
//   kDispose          one a span    the span     -                -
//   kProfile          one           the object   -                counted later
//
// "Later": when no finalizer keeps the object for one more cycle.
enum class SpecialKind : uint8_t {
  kFinalizer = 1,
  kWeakHandle = 2,
  kLongWeakHandle = 3,
  kWatch = 4,
  kPin = 5,
  kEmbedder = 6,
  kCleanup = 7,
  kDispose = 8,  // not of an object: see dispose_queue.h
  // Last: what others do with their object comes first.
  kProfile = 15,
};

// Half a cache line: a program may have as many as objects. Followed by
// ExtraWords, if it has any, and `height` - 1 links of the list.
struct Special {
  Special* next;          // in its list; while it is queued, in the queue
  uint64_t address : 48;  // the object's, or inside it
  SpecialKind kind : 8;
  uint64_t height : 4;  // links, `next` included: 1 to kMaxHeight
  uint64_t has_extra : 1;
  uint64_t is_unordered : 1;  // kFinalizer
  union {
    struct {
      FinalizerCallback function;
      void* data;
    } finalizer;
    struct {
      CleanupCallback function;
      void* data;
    } cleanup;
    struct {
      const EmbedderKind* kind;
      uintptr_t word;
    } embedder;
    WeakHandle* handle;  // weak handles and kWatch
    uint64_t pin_count;  // not 0
    WaitingCells* waiting;
    struct {
      ProfileBucket* bucket;
      double objects;  // that the sampled one stands for
    } profile;
  };

  // Cleanups and unordered finalizers.
  struct ExtraWords {
    uint64_t serial;  // of registrations: never used twice in a heap
    uintptr_t value;  // a cleanup's
  };

  // One in 8 has a second link, one in 64 a third: with 8, lists of 16 million
  // are found through in logarithmic time.
  static constexpr size_t kMaxHeight = 8;

  void* object() const { return reinterpret_cast<void*>(uintptr_t{address}); }
  ExtraWords* extra() { return reinterpret_cast<ExtraWords*>(this + 1); }
  const ExtraWords* extra() const {
    return reinterpret_cast<const ExtraWords*>(this + 1);
  }
  // level < height.
  Special** link(size_t level) {
    if (level == 0) return &next;
    char* links = reinterpret_cast<char*>(this + 1) +
                  (has_extra ? sizeof(ExtraWords) : 0);
    return reinterpret_cast<Special**>(links) + level - 1;
  }
  // Whether a function of the embedder's is called when the object dies.
  bool calls_back() const {
    return kind == SpecialKind::kFinalizer || kind == SpecialKind::kCleanup ||
           (kind == SpecialKind::kEmbedder && embedder.kind->died != nullptr);
  }
  // Tells records of one kind and address apart.
  uint64_t id() const {
    switch (kind) {
      case SpecialKind::kCleanup:
        return extra()->serial;
      case SpecialKind::kEmbedder:
        return reinterpret_cast<uintptr_t>(embedder.kind);
      case SpecialKind::kWatch:
        return reinterpret_cast<uintptr_t>(handle);
      default:
        return 0;
    }
  }
};
static_assert(sizeof(Special) == 32);

constexpr size_t SpecialBytes(size_t height, bool has_extra = false) {
  return sizeof(Special) + (has_extra ? sizeof(Special::ExtraWords) : 0) +
         (height - 1) * sizeof(Special*);
}

// Where a special stands in its list.
struct SpecialKey {
  uintptr_t address;
  SpecialKind kind;
  uint64_t id = 0;
};

inline SpecialKey KeyOf(const Special& special) {
  return {uintptr_t{special.address}, special.kind, special.id()};
}

inline bool IsBefore(const Special& special, const SpecialKey& key) {
  if (special.address != key.address) return special.address < key.address;
  if (special.kind != key.kind) return special.kind < key.kind;
  return special.id() < key.id;
}

inline bool HasKey(const Special& special, const SpecialKey& key) {
  return special.address == key.address && special.kind == key.kind &&
         special.id() == key.id;
}

}  // namespace loam

#endif  // LOAM_RUNTIME_SPECIALS_SPECIAL_H_
