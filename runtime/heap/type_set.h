// A set of registered types, shared by any number of heaps and threads.

#ifndef LOAM_RUNTIME_HEAP_TYPE_SET_H_
#define LOAM_RUNTIME_HEAP_TYPE_SET_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/base/mutex.h"
#include "runtime/base/status.h"
#include "runtime/heap/metadata_allocator.h"
#include "runtime/heap/type_layout.h"

namespace loam {

constexpr size_t kMaxTypes = size_t{1} << 20;

// `count` words of one kind from byte `offset`.
struct FieldInfo {
  const char* name;
  uint32_t offset;
  uint32_t count;
  WordKind kind;
};

// A type as an embedder describes it; see loam_type_info.
struct TypeInfo {
  const char* name = nullptr;
  size_t size = 0;
  size_t alignment = 0;
  const FieldInfo* fields = nullptr;
  size_t field_count = 0;
  size_t element_size = 0;
  const FieldInfo* element_fields = nullptr;
  size_t element_field_count = 0;
  const uint8_t* word_kinds = nullptr;
  TraceCallback trace = nullptr;
  DisposeCallback dispose = nullptr;
  uint32_t flags = 0;
  void* user = nullptr;
};

class TypeSet {
 public:
  // In memory of its own; `first_cursor_offset` is where the cursor of type 0
  // lies in a mutator, and `cursor_bytes` how far apart they are. NULL when out
  // of memory.
  static TypeSet* Create(uint32_t first_cursor_offset, uint32_t cursor_bytes);
  // Fails while a heap uses the set.
  Status Destroy(ErrorMessage* message);

  // Copies everything it needs of `info`.
  Status Register(const TypeInfo& info, const Type** type,
                  ErrorMessage* message) LOAM_EXCLUDES(mutex_);

  // Heaps that use this set.
  void AddUser() { users_.fetch_add(1, std::memory_order_relaxed); }
  uint32_t users() const { return users_.load(std::memory_order_relaxed); }
  void RemoveUser() { users_.fetch_sub(1, std::memory_order_relaxed); }

  // Once for each heap that uses the set and whose fork the calling thread
  // prepares.
  void LockForFork();
  void UnlockAfterFork();

  // Types of objects that have none of the embedder's.
  enum InternalType : size_t {
    kAmbiguousWords,  // an array whose every word is ambiguous
    kCellBitmap,      // two bitmaps at the end of the cell
    kEphemeron,       // a key, a value
    kWeakMap,         // two pointers, and two words of data
    kWeakMapEntries,  // an array of keys, values and words of data
    kInternalTypes,
  };
  const Type* internal_type(InternalType type) const {
    return internal_types_[type];
  }

  // Whether this is the address of a type of this set; any word may be asked
  // about. Any thread.
  bool Owns(const Type* type) const;

  // Whether `type`, which is one, is a type of this set.
  bool Contains(const Type* type) const { return type->set == this; }

  // Whether some type has weak or ephemeron words, and whether weak references
  // to some are strong. Relaxed: an object of a type comes after its
  // registration.
  bool has_weak_words() const {
    return has_weak_words_.load(std::memory_order_relaxed);
  }
  void set_has_weak_words() {
    has_weak_words_.store(true, std::memory_order_relaxed);
  }
  bool has_never_cleared() const {
    return has_never_cleared_.load(std::memory_order_relaxed);
  }

 private:
  TypeSet(uint32_t first_cursor_offset, uint32_t cursor_bytes);
  static Status CheckDispose(const TypeInfo& info, ErrorMessage* message);
  Status RegisterNamed(const TypeInfo& info, const Type** result,
                       ErrorMessage* message) LOAM_EXCLUDES(mutex_);
  ~TypeSet() = default;
  Status CopyLayout(const TypeInfo& info, Type* type, ErrorMessage* message)
      LOAM_REQUIRES(mutex_);
  // False when out of memory.
  bool MakeInternalTypes();
  const char* CopyString(const char* string) LOAM_REQUIRES(mutex_);

  const uint32_t first_cursor_offset_;
  const uint32_t cursor_bytes_;
  MemoryLedger ledger_;
  PersistentAllocator persistent_;
  Mutex<LockRank::kTypeSet> mutex_;
  // The thread that holds the mutex for a fork, and how often. Relaxed: only
  // that thread finds itself here.
  std::atomic<pthread_t> forking_thread_{};
  uint32_t fork_depth_ LOAM_GUARDED_BY(mutex_) = 0;
  // Constant after Create; entries below count_ are constant.
  SparseTable<Type> types_;
  // Written under mutex_, with release, after the entry before it.
  std::atomic<uint32_t> count_{0};
  std::atomic<bool> has_weak_words_{false};
  std::atomic<bool> has_never_cleared_{false};
  const Type* internal_types_[kInternalTypes] = {};  // constant after Create
  // Relaxed: only compared with zero by Destroy, which the embedder orders
  // after the heaps' ends.
  std::atomic<uint32_t> users_{0};
};

}  // namespace loam

#endif  // LOAM_RUNTIME_HEAP_TYPE_SET_H_
