// Specials: records about single objects, kept outside them.
//
// The specials of a span's objects form one list, sorted by (address, kind)
// (special_list.h). It is guarded by the span's specials_lock and changed only
// by someone who knows that the span is swept: its sweeper, or a caller of
// Sweeper::EnsureSwept.

#ifndef LOAM_RUNTIME_SPECIALS_SPECIAL_H_
#define LOAM_RUNTIME_SPECIALS_SPECIAL_H_

#include <cstddef>
#include <cstdint>

struct loam_mutator;

namespace loam {

struct ProfileBucket;

using FinalizerCallback = void (*)(loam_mutator* m, void* object, void* data);

// In the order in which they are handled for one object.
enum class SpecialKind : uint8_t {
  kFinalizer = 1,
  kPin = 2,  // a root
  // Last: what others do with their object comes first.
  kProfile = 15,
};

// Half a cache line: a program may have as many as objects. Followed by
// `height` - 1 links of the list.
struct Special {
  Special* next;          // in its list; while it is queued, in the queue
  uint64_t address : 48;  // the object's
  SpecialKind kind : 8;
  uint64_t height : 8;  // links, `next` included: 1 to kMaxHeight
  union {
    struct {
      FinalizerCallback function;
      void* data;
    } finalizer;
    uint64_t pin_count;  // not 0
    struct {
      ProfileBucket* bucket;
      double objects;  // that the sampled one stands for
    } profile;
  };

  // One in 8 has a second link, one in 64 a third: with 8, lists of 16 million
  // are found through in logarithmic time.
  static constexpr size_t kMaxHeight = 8;

  void* object() const { return reinterpret_cast<void*>(uintptr_t{address}); }
  // level < height.
  Special** link(size_t level) {
    return level == 0 ? &next
                      : reinterpret_cast<Special**>(this + 1) + level - 1;
  }
};
static_assert(sizeof(Special) == 32);

constexpr size_t SpecialBytes(size_t height) {
  return sizeof(Special) + (height - 1) * sizeof(Special*);
}

// Where a special stands in its list.
struct SpecialKey {
  uintptr_t address;
  SpecialKind kind;
};

inline bool IsBefore(const Special& special, const SpecialKey& key) {
  return special.address < key.address ||
         (special.address == key.address && special.kind < key.kind);
}

}  // namespace loam

#endif  // LOAM_RUNTIME_SPECIALS_SPECIAL_H_
