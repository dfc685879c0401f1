// loam.hpp's weak references, pins and cleanups.
//
//   struct Session {
//     loam::Member<Session> next;
//     loam::WeakMember<Page> page;       // does not keep the page
//   };
//   LOAM_LAYOUT(Session, next, page);    // as for any other member
//   session->page.Set(m, session, page);
//   Page* page = session->page.Get(m, session);    // NULL: it has died
//
//   loam::Pin pin;                                 // until the block ends
//   if (!pin.Create(m, buffer).ok()) ...
//   loam::WeakHandle<Page> handle;                 // outside the heap
//   if (!handle.Create(m, page).ok()) ...
//
// What has died reads as NULL, or as the value of zero, where
// options.weak_cleared_word is 0 as it is by default; handles give NULL in any
// case. What a Get returns is alive until the next safepoint, and from there on
// if it is rooted.
//
// Pins, handles and cleanups end before their heap, on any thread that is
// attached to it and not in native state.
#ifndef LOAM_API_LOAM_WEAK_HPP_
#define LOAM_API_LOAM_WEAK_HPP_

#include <cstddef>
#include <optional>
#include <utility>

#include "api/loam.hpp"

namespace loam {
inline namespace cpp {

namespace internal {

// A word of another kind that stands for the same.
template <typename Word, loam_word_kind kind>
struct WordOfKind : Word {
  static constexpr loam_word_kind kKind = kind;
};

template <typename T>
using WeakPointerWord = WordOfKind<PointerWord<T>, LOAM_WEAK_POINTER>;
template <typename V>
using WeakValueWord = WordOfKind<ValueWord<V>, LOAM_WEAK_VALUE>;

}  // namespace internal

// ---- Weak members: inside objects

// A word of an object that LOAM_LAYOUT lists like any other; read and written
// with the object that contains it.
template <typename Word>
class BasicWeakMember {
 public:
  using type = typename Word::type;
  // Zero in an object that New made. Trivial, so that New need not write it.
  BasicWeakMember() = default;
  BasicWeakMember(const BasicWeakMember&) = delete;
  BasicWeakMember& operator=(const BasicWeakMember&) = delete;

  void Set(Mutator m, void* object, type target) {
    loam_store_weak(m, object, &word_, Word::ToWord(target));
  }
  type Get(Mutator m, void* object) {
    return Word::FromWord(loam_load_weak(m, object, &word_));
  }

 private:
  loam_word word_;
};

template <typename T>
using WeakMember = BasicWeakMember<internal::WeakPointerWord<T>>;
template <typename V = loam_word>
using WeakValueMember = BasicWeakMember<internal::WeakValueWord<V>>;

// The keys and values of an object's fixed part, or of one element behind it,
// are one record: its values live only with all of its keys.
template <typename V = loam_word>
using EphemeronKey = BasicWeakMember<
    internal::WordOfKind<internal::ValueWord<V>, LOAM_EPHEMERON_KEY>>;
template <typename V = loam_word>
using EphemeronValue = BasicWeakMember<
    internal::WordOfKind<internal::ValueWord<V>, LOAM_EPHEMERON_VALUE>>;

namespace internal {
template <typename Word>
constexpr loam_word_kind kKindOf<BasicWeakMember<Word>> = Word::kKind;
}  // namespace internal

// ---- Weak references from outside the heap

// A global that keeps nothing alive: for any thread.
template <typename T>
using WeakGlobal = BasicGlobal<internal::WeakPointerWord<T>>;
template <typename V = loam_word>
using WeakGlobalValue = BasicGlobal<internal::WeakValueWord<V>>;

// The handle of an object. Those of one object and kind are equal, and equal
// ones mean the same object.
template <typename T>
class WeakHandle : internal::Pinned {
 public:
  ~WeakHandle() { Reset(); }
  // Lets go of an earlier object. LOAM_WEAK_LONG: cleared only when the object
  // is gone for good, and not when its finalizer is queued.
  Status Create(Mutator m, T* object,
                loam_weak_handle_kind kind = LOAM_WEAK_SHORT) {
    Reset();
    heap_ = loam_mutator_heap(m);
    return loam_weak_handle_create(m, object, kind, &handle_);
  }
  void Reset() {
    if (handle_ == nullptr) return;
    internal::Require(
        loam_weak_handle_destroy(loam_mutator_current(heap_), handle_),
        "destroying a weak handle");
    handle_ = nullptr;
  }
  // NULL: it has died, or there never was one.
  T* Get(Mutator m) const {
    if (handle_ == nullptr) return nullptr;
    return static_cast<T*>(loam_weak_handle_get(m, handle_));
  }
  operator loam_weak_handle*() const {  // NOLINT: the C handle
    return handle_;
  }

 private:
  loam_heap* heap_ = nullptr;
  loam_weak_handle* handle_ = nullptr;
};

// ---- Weak maps

// An object of the heap, used through pointers only, which are rooted like
// those to any other object:
//
//   using Comments = loam::WeakMap<Page*, List*>;
//   loam::Local<Comments> comments(m, Comments::New(m));
//   comments->Set(m, page, list);
//
// Keys and values are words as in ValueMember; an entry is there as long as its
// key lives otherwise. One thread at a time.
template <typename K = loam_word, typename V = loam_word>
class WeakMap {
 public:
  WeakMap() = delete;
  WeakMap(const WeakMap&) = delete;
  WeakMap& operator=(const WeakMap&) = delete;

  // NULL when out of memory. Safepoint.
  static WeakMap* New(Mutator m) {
    return static_cast<WeakMap*>(loam_weak_map_new(m));
  }
  // Safepoint; the three are rooted meanwhile.
  Status Set(Mutator m, K key, V value) {
    return loam_weak_map_set(m, this, Key::ToWord(key), Value::ToWord(value));
  }
  std::optional<V> Get(Mutator m, K key) {
    loam_word value;
    const Status status = loam_weak_map_get(m, this, Key::ToWord(key), &value);
    if (!status.ok()) return std::nullopt;
    return Value::FromWord(value);
  }
  // Whether there was an entry.
  bool Remove(Mutator m, K key) {
    return loam_weak_map_remove(m, this, Key::ToWord(key)) == LOAM_OK;
  }
  // Looks at all entries.
  size_t Count(Mutator m) { return loam_weak_map_count(m, this); }
  // visit(key, value) for every entry, in the order in which the keys came. It
  // is no safepoint, does not change the map and does not throw.
  template <typename Visit>
  void Walk(Mutator m, Visit visit) {
    const auto forward = [](loam_word key, loam_word value, void* data) {
      (*static_cast<Visit*>(data))(Key::FromWord(key), Value::FromWord(value));
      return 1;
    };
    loam_weak_map_walk(m, this, forward, &visit);
  }

 private:
  using Key = internal::ValueWord<K>;
  using Value = internal::ValueWord<V>;
};

// ---- Pins

// Keeps an object alive and its memory usable for native code, until this ends.
//
//   loam::Pin pin;
//   if (!pin.Create(m, buffer).ok()) return OutOfMemory();
//   loam::Native native(m);    // ends before the pin
//   read(fd, buffer->bytes, buffer->size);
class Pin : internal::Pinned {
 public:
  ~Pin() { Reset(); }
  // Lets go of an earlier object.
  Status Create(Mutator m, void* object) {
    Reset();
    const Status status = loam_pin(m, object);
    if (!status.ok()) return status;
    heap_ = loam_mutator_heap(m);
    object_ = object;
    return status;
  }
  void Reset() {
    if (object_ == nullptr) return;
    internal::Require(loam_unpin(loam_mutator_current(heap_), object_),
                      "unpinning an object");
    object_ = nullptr;
  }

 private:
  loam_heap* heap_ = nullptr;
  void* object_ = nullptr;
};

// ---- Cleanups

// AddCleanup<&Close>(m, file, file->descriptor): void Close(Mutator, int64_t),
// called by loam_finalizers_run when the object is gone for good. `value` is
// one word, a root until then: it must not lead to the object.
template <auto kFunction, typename V>
Status AddCleanup(Mutator m, void* object, V value,
                  loam_cleanup* cleanup = nullptr) {
  using Word = internal::ValueWord<V>;
  const auto fn = [](loam_mutator* runner, loam_word word, void*) {
    kFunction(Mutator(runner), Word::FromWord(word));
  };
  return loam_cleanup_add(m, object, fn, Word::ToWord(value), nullptr, cleanup);
}

// A cleanup that is called off when this ends: for one whose `data` ends with
// it. One that has been queued by then runs all the same: let it run, with
// loam_finalizers_run, before `data` goes.
//
//   loam::Cleanup cleanup;     // a member of the cache, behind its tables
//   cleanup.Add<&Forget>(m, page, page_number, this);
//   void Forget(loam::Mutator, uint64_t page_number, Cache* cache);
class Cleanup : internal::Pinned {
 public:
  ~Cleanup() { (void)Stop(); }
  // Calls off an earlier one.
  template <auto kFunction, typename V, typename D>
  Status Add(Mutator m, void* object, V value, D* data) {
    (void)Stop();
    using Word = internal::ValueWord<V>;
    const auto fn = [](loam_mutator* runner, loam_word word, void* d) {
      kFunction(Mutator(runner), Word::FromWord(word), static_cast<D*>(d));
    };
    const Status status =
        loam_cleanup_add(m, object, fn, Word::ToWord(value), data, &cleanup_);
    if (status.ok()) heap_ = loam_mutator_heap(m);
    return status;
  }
  // LOAM_NOT_FOUND if it is queued or has run.
  Status Stop() {
    if (heap_ == nullptr) return LOAM_NOT_FOUND;
    return loam_cleanup_stop(
        loam_mutator_current(std::exchange(heap_, nullptr)), &cleanup_);
  }
  // It stays, also when this ends.
  void Release() { heap_ = nullptr; }

 private:
  loam_heap* heap_ = nullptr;  // NULL: there is none
  loam_cleanup cleanup_ = {};
};

}  // namespace cpp
}  // namespace loam

#endif  // LOAM_API_LOAM_WEAK_HPP_
