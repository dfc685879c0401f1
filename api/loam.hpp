// loam for C++20: the same calls as loam.h, with types and scopes.
//
// Header only, with or without exceptions and run-time type information; throws
// nothing. Everything converts to the C handle it stands for, for other calls.
//
//   struct Pair {
//     loam::ValueMember<> car;    // a value word, written through Set
//     loam::Member<Pair> next;    // a pointer, likewise
//     double weight;              // data, plain C++
//   };
//   LOAM_LAYOUT(Pair, car, next);  // at global scope: its references
//
//   loam::Heap heap;
//   loam::Type<Pair> pair_type;
//   loam::ScopedMutator m;
//   if (loam::Status s = heap.Create(); !s.ok()) return Fail(s.message());
//   ... heap.Register(&pair_type) ... m.Attach(heap) ...        // likewise
//   loam::Local<Pair> head(m, m.New(pair_type));    // NULL: out of memory
//   head->next.Set(m, head, m.New(pair_type));
//
// Every allocation may collect: what is needed afterwards is in a Local, Handle
// or Global, or reachable from one; a plain Pair* does not count. Members are
// written through Set, or by the constructor that New runs, which must not
// allocate, since no root refers to its object yet.
#ifndef LOAM_API_LOAM_HPP_
#define LOAM_API_LOAM_HPP_

#include <array>
#include <bit>
#include <concepts>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

#include "api/loam.h"

namespace loam {
// The library has classes of these names inside; an inline namespace keeps the
// symbols of a program that links it statically apart from them.
inline namespace cpp {

// What a call came to. The message is the calling thread's last, so it is read
// before the next call.
class [[nodiscard]] Status {
 public:
  constexpr Status(loam_status code) : code_(code) {}  // NOLINT: converts
  constexpr bool ok() const { return code_ == LOAM_OK; }
  constexpr loam_status code() const { return code_; }
  const char* message() const { return ok() ? "" : loam_last_error(); }

 private:
  loam_status code_;
};

namespace internal {

// For destructors, which have nobody to tell.
inline void Require(Status status, const char* what) {
  if (status.ok()) return;
  std::fprintf(stderr, "loam: %s: %s\n", what, status.message());
  std::abort();
}

struct Pinned {
  Pinned() = default;
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;
};

// How a word stands for a T*, or for one of the embedder's values.
template <typename T>
struct PointerWord {
  using type = T*;
  static constexpr loam_word_kind kKind = LOAM_POINTER;
  static loam_word ToWord(T* p) { return reinterpret_cast<loam_word>(p); }
  static T* FromWord(loam_word word) { return reinterpret_cast<T*>(word); }
};

template <typename V>
struct ValueWord {
  static_assert(sizeof(V) == sizeof(loam_word) &&
                    std::is_trivially_copyable_v<V>,
                "a value type is one word and trivially copyable");
  using type = V;
  static constexpr loam_word_kind kKind = LOAM_VALUE;
  static loam_word ToWord(V value) { return std::bit_cast<loam_word>(value); }
  static V FromWord(loam_word word) { return std::bit_cast<V>(word); }
};

// What everything that holds one reference can do: be read like what it holds.
template <typename Derived, typename Word>
class Holder {
 public:
  using type = typename Word::type;
  type get() const {
    return Word::FromWord(static_cast<const Derived*>(this)->word());
  }
  operator type() const { return get(); }  // NOLINT: that is its purpose
  type operator->() const
    requires(Word::kKind == LOAM_POINTER)
  {
    return get();
  }

 private:
  friend Derived;
  Holder() = default;
};

}  // namespace internal

// ---- Heaps, mutators

struct Options : loam_options {
  Options() { loam_options_init(this); }
};

template <typename T>
class Type;

// Destroyed after its mutators are detached: anything else ends the program.
class Heap : internal::Pinned {
 public:
  ~Heap() {
    if (heap_ == nullptr) return;
    internal::Require(loam_heap_destroy(heap_), "destroying a heap");
  }
  Status Create(const loam_options& options = Options()) {
    return loam_heap_create(&options, &heap_);
  }
  // `user` comes back from loam_type_user.
  template <typename T>
  Status Register(Type<T>* type, uint32_t flags = 0, void* user = nullptr) {
    return type->Register(loam_heap_types(heap_), flags, user);
  }
  loam_stats Stats() const {
    loam_stats stats = {};
    stats.struct_size = sizeof(stats);
    internal::Require(loam_heap_stats(heap_, &stats), "reading statistics");
    return stats;
  }
  operator loam_heap*() const { return heap_; }  // NOLINT: the C handle

 private:
  loam_heap* heap_ = nullptr;
};

// A mutator, as cheap to copy as the pointer it is; owns nothing.
class Mutator {
 public:
  Mutator() = default;
  Mutator(loam_mutator* m) : m_(m) {}            // NOLINT: the C handle
  operator loam_mutator*() const { return m_; }  // NOLINT: the C handle

  // A new object, or NULL when out of memory. Safepoint, and before T's
  // constructor reads its arguments: what they point to must be rooted.
  template <typename T, typename... Args>
  T* New(const Type<T>& type, Args&&... args) const {
    return Construct<T>(loam_alloc(m_, type), std::forward<Args>(args)...);
  }
  // The same with room for `count` elements, see LOAM_ARRAY_LAYOUT.
  template <typename T, typename... Args>
  T* NewArray(const Type<T>& type, size_t count, Args&&... args) const {
    return Construct<T>(loam_alloc_array(m_, type, count),
                        std::forward<Args>(args)...);
  }

  void Safepoint() const { loam_safepoint(m_); }
  Status Collect() const { return loam_collect(m_, LOAM_COLLECT_FULL); }

  // m.SetFinalizer<&Close>(file): void Close(Mutator, File*), called by
  // loam_finalizers_run when the object has been found dead.
  template <auto kFunction, typename T>
  Status SetFinalizer(T* object,
                      loam_finalizer_mode mode = LOAM_FINALIZER_ORDERED) const {
    const auto fn = [](loam_mutator* m, void* dead, void*) {
      kFunction(Mutator(m), static_cast<T*>(dead));
    };
    return loam_finalizer_set(m_, object, fn, nullptr, mode);
  }

 protected:
  loam_mutator* m_ = nullptr;

 private:
  // Zeroes already are what a trivial constructor would leave.
  template <typename T, typename... Args>
  static T* Construct(void* memory, Args&&... args) {
    if constexpr (sizeof...(Args) > 0 ||
                  !std::is_trivially_default_constructible_v<T>) {
      if (memory != nullptr) ::new (memory) T(std::forward<Args>(args)...);
    }
    return static_cast<T*>(memory);
  }
};

// Attaches a thread, and detaches it at the end of the block.
class ScopedMutator : public Mutator, internal::Pinned {
 public:
  ~ScopedMutator() {
    if (m_ == nullptr) return;
    internal::Require(loam_mutator_detach(m_), "detaching a mutator");
  }
  Status Attach(loam_heap* heap, const char* name = nullptr) {
    return loam_mutator_attach(heap, name, &m_);
  }
};

// Around what may block and touches nothing of the heap. The end is a
// safepoint.
class Native : internal::Pinned {
 public:
  explicit Native(Mutator m) : m_(m) { loam_enter_native(m_); }
  ~Native() { internal::Require(loam_leave_native(m_), "leaving native code"); }

 private:
  Mutator m_;
};

// ---- Members: references inside objects

// A word of an object. Reading is plain; writing goes through the barrier, with
// the object that contains it.
template <typename Word>
class BasicMember : public internal::Holder<BasicMember<Word>, Word> {
 public:
  using type = typename Word::type;
  // Zero in an object that New made. Trivial, so that New need not write it.
  BasicMember() = default;
  // For objects that New makes: fresh ones need no barrier.
  template <std::convertible_to<type> U>
  BasicMember(const U& target)  // NOLINT: New's arguments convert
      : word_(Word::ToWord(target)) {}
  BasicMember(const BasicMember&) = delete;
  BasicMember& operator=(const BasicMember&) = delete;

  void Set(Mutator m, void* object, type target) {
    loam_store_value(m, object, &word_, Word::ToWord(target));
  }
  loam_word word() const { return __atomic_load_n(&word_, __ATOMIC_RELAXED); }

 private:
  loam_word word_;
};

template <typename T>
using Member = BasicMember<internal::PointerWord<T>>;
template <typename V = loam_word>
using ValueMember = BasicMember<internal::ValueWord<V>>;

// ---- Layouts

// Which members of T refer to objects; given by LOAM_LAYOUT.
template <typename T>
struct Layout;

namespace internal {

template <typename T>
constexpr loam_word_kind kKindOf = LOAM_DATA;
template <typename Word>
constexpr loam_word_kind kKindOf<BasicMember<Word>> = Word::kKind;

// A member of an object, or an array of members, as a field of its layout.
template <typename M>
constexpr loam_field FieldOf(const char* name, size_t offset) {
  using Slot = std::remove_all_extents_t<M>;
  static_assert(kKindOf<Slot> != LOAM_DATA,
                "not a loam::Member or loam::ValueMember");
  return {name, static_cast<uint32_t>(offset),
          static_cast<uint32_t>(sizeof(M) / sizeof(loam_word)), kKindOf<Slot>};
}

template <typename... Field>
constexpr std::array<loam_field, sizeof...(Field)> FieldArray(Field... field) {
  return {field...};
}

// The fields of one element of a trailing array.
template <typename E>
constexpr auto ElementFields() {
  if constexpr (kKindOf<E> != LOAM_DATA) {
    return FieldArray(FieldOf<E>(nullptr, 0));
  } else if constexpr (std::is_arithmetic_v<E> || std::is_enum_v<E>) {
    return FieldArray();
  } else {
    return Layout<E>::kFields;
  }
}

template <typename T>
concept HasElements = !std::is_void_v<typename Layout<T>::Element>;

}  // namespace internal

// A type registered with a type set. `static void T::Dispose(T*)` disposes.
template <typename T>
class Type {
 public:
  operator const loam_type*() const { return type_; }  // NOLINT: the C handle

  Status Register(loam_type_set* set, uint32_t flags = 0,
                  void* user = nullptr) {
    static_assert(std::is_trivially_destructible_v<T>,
                  "the collector runs no destructors: no owning members");
    static_assert(std::is_standard_layout_v<T>,
                  "no virtual functions, and data in one class only");
    loam_type_info info = loam_type_info_init();
    info.name = Layout<T>::kName;
    info.size = sizeof(T);
    info.alignment = alignof(T) > sizeof(loam_word) ? alignof(T) : 0;
    info.fields = Layout<T>::kFields.data();
    info.field_count = Layout<T>::kFields.size();
    info.flags = flags;
    info.user = user;
    if constexpr (requires(T* p) { T::Dispose(p); }) {
      info.dispose = [](void* p, size_t) { T::Dispose(static_cast<T*>(p)); };
    }
    if constexpr (internal::HasElements<T>) {
      using Element = typename Layout<T>::Element;
      static_assert(std::is_trivially_destructible_v<Element> &&
                        std::is_trivially_default_constructible_v<Element>,
                    "elements begin as zeroes and end without a destructor");
      static_assert(sizeof(T) % alignof(Element) == 0,
                    "elements begin where the fixed part ends: pad it");
      static constexpr auto kElementFields = internal::ElementFields<Element>();
      info.element_size = sizeof(Element);
      info.element_fields = kElementFields.data();
      info.element_field_count = kElementFields.size();
    }
    return loam_type_register(set, &info, &type_);
  }

 private:
  const loam_type* type_ = nullptr;
};

// The elements behind an object, which knows how many there are.
template <internal::HasElements T>
std::span<typename Layout<T>::Element> Elements(T* object, size_t count) {
  return {reinterpret_cast<typename Layout<T>::Element*>(object + 1), count};
}

// ---- Roots

// One root for as long as a block runs: a frame with one slot. To be used like
// the pointer or value it holds. Locals end in reverse order of their making.
template <typename Word>
class BasicLocal : public internal::Holder<BasicLocal<Word>, Word> {
 public:
  using type = typename Word::type;
  explicit BasicLocal(Mutator m, type target = type())
      : slot_(Word::ToWord(target)) {
    loam_frame_push(m, &frame_, &kMap);
  }
  BasicLocal(const BasicLocal&) = delete;
  ~BasicLocal() { loam_frame_pop(&frame_); }

  BasicLocal& operator=(const BasicLocal& other) {
    slot_ = other.slot_;
    return *this;
  }
  BasicLocal& operator=(type target) {
    slot_ = Word::ToWord(target);
    return *this;
  }
  loam_word word() const { return slot_; }

 private:
  static constexpr loam_frame_map kMap = {1, Word::kKind, nullptr, "a local"};
  loam_frame frame_;
  loam_word slot_;  // right behind the frame: the collector looks there
};

template <typename T>
using Local = BasicLocal<internal::PointerWord<T>>;
template <typename V = loam_word>
using LocalValue = BasicLocal<internal::ValueWord<V>>;

// A root in a HandleScope; valid until that closes.
template <typename Word>
class BasicHandle : public internal::Holder<BasicHandle<Word>, Word> {
 public:
  explicit BasicHandle(loam_handle handle) : handle_(handle) {}
  bool valid() const { return handle_ != nullptr; }  // else: out of memory
  void Set(typename Word::type target) { handle_->word = Word::ToWord(target); }
  loam_word word() const { return handle_->word; }

 private:
  loam_handle handle_;
};

template <typename T>
using Handle = BasicHandle<internal::PointerWord<T>>;
template <typename V = loam_word>
using ValueHandle = BasicHandle<internal::ValueWord<V>>;

// Any number of roots until the block ends.
class HandleScope : internal::Pinned {
 public:
  explicit HandleScope(Mutator m) : m_(m) {
    loam_handle_scope_open(m, &scope_);
  }
  ~HandleScope() { loam_handle_scope_close(&scope_); }

  template <typename T>
  Handle<T> New(T* target) {
    return Handle<T>(loam_handle_pointer(m_, target));
  }
  template <typename V>
  ValueHandle<V> NewValue(V value) {
    return ValueHandle<V>(
        loam_handle_value(m_, internal::ValueWord<V>::ToWord(value)));
  }

 private:
  Mutator m_;
  loam_handle_scope scope_;
};

// A root of any lifetime, for any thread. Reads acquire, Set releases.
template <typename Word>
class BasicGlobal : public internal::Holder<BasicGlobal<Word>, Word>,
                    internal::Pinned {
 public:
  ~BasicGlobal() {
    if (global_ == nullptr) return;
    internal::Require(loam_global_destroy(global_), "destroying a global");
  }
  Status Create(loam_heap* heap, typename Word::type target = {}) {
    return loam_global_create(heap, Word::kKind, Word::ToWord(target),
                              &global_);
  }
  void Set(Mutator m, typename Word::type target) {
    loam_global_set(m, global_, Word::ToWord(target));
  }
  loam_word word() const { return loam_global_get(global_); }

 private:
  loam_global* global_ = nullptr;
};

template <typename T>
using Global = BasicGlobal<internal::PointerWord<T>>;
template <typename V = loam_word>
using GlobalValue = BasicGlobal<internal::ValueWord<V>>;

// A root stack to switch to, without an owner object: a root until destroyed.
class Fiber : internal::Pinned {
 public:
  ~Fiber() {
    if (fiber_ == nullptr) return;
    internal::Require(loam_fiber_destroy(fiber_), "destroying a fiber");
  }
  Status Create(loam_heap* heap) {
    return loam_fiber_create(heap, nullptr, &fiber_);
  }
  // Back with loam_fiber_switch(m, nullptr).
  void SwitchTo(Mutator m) const { loam_fiber_switch(m, fiber_); }
  operator loam_fiber*() const { return fiber_; }  // NOLINT: the C handle

 private:
  loam_fiber* fiber_ = nullptr;
};

}  // namespace cpp
}  // namespace loam

// LOAM_LAYOUT(Pair, car, next): which members of Pair hold references. At
// global scope, with T's full name; a type without any is LOAM_LAYOUT(Point).
#define LOAM_LAYOUT(T, ...) \
  LOAM_ARRAY_LAYOUT(T, void __VA_OPT__(, ) __VA_ARGS__)

// LOAM_ARRAY_LAYOUT(Vector, E, ...): elements of type E follow. E is a
// loam::Member, a loam::ValueMember, a number, or has a LOAM_LAYOUT itself.
#define LOAM_ARRAY_LAYOUT(T, E, ...)                            \
  template <>                                                   \
  struct loam::Layout<T> {                                      \
    using Element = E;                                          \
    static constexpr const char* kName = #T;                    \
    static constexpr auto kFields = loam::internal::FieldArray( \
        __VA_OPT__(LOAM_64(LOAM_FIELDS(T, __VA_ARGS__))));      \
  }

// Up to 64 members: each scan by LOAM_1 turns the call left by the one before
// into the next field.
#define LOAM_FIELDS(T, member, ...)                                          \
  loam::internal::FieldOf<decltype(T::member)>(#member, offsetof(T, member)) \
      __VA_OPT__(, LOAM_FIELDS_AGAIN LOAM_NOTHING()(T, __VA_ARGS__))
#define LOAM_FIELDS_AGAIN() LOAM_FIELDS
#define LOAM_NOTHING
#define LOAM_64(...) LOAM_16(LOAM_16(LOAM_16(LOAM_16(__VA_ARGS__))))
#define LOAM_16(...) LOAM_4(LOAM_4(LOAM_4(LOAM_4(__VA_ARGS__))))
#define LOAM_4(...) LOAM_1(LOAM_1(LOAM_1(LOAM_1(__VA_ARGS__))))
#define LOAM_1(...) __VA_ARGS__

#endif  // LOAM_API_LOAM_HPP_
