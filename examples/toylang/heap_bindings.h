// The one place that calls loam. The rest of the interpreter sees:
//
//   Heap            allocation, stores, weak references, pins, collections,
//                   finalizers, statistics
//   Rooted<T>       keeps an object alive for a C++ scope
//   RootSource      keeps alive what a structure of the interpreter refers to
//   CallSource      says which functions are running, for heap profiles
//   NativeSection   around system calls that may block
//
// The rule that everything else follows from: every allocation may collect.
// What is then reachable neither from a root source, nor from a Rooted, nor
// from another object that is, is gone. Objects never move, so a plain C++
// pointer to something that stays reachable remains good.

#ifndef LOAM_EXAMPLES_TOYLANG_HEAP_BINDINGS_H_
#define LOAM_EXAMPLES_TOYLANG_HEAP_BINDINGS_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "api/loam.h"
#include "examples/toylang/object_types.h"
#include "examples/toylang/value.h"

namespace toylang {

struct HeapOptions {
  uint64_t limit_bytes = 0;         // 0: none
  uint32_t stress_interval = 0;     // collect at every Nth allocation; 0: never
  bool verify = false;              // mark again after each collection, compare
  bool report_collections = false;  // a line on stderr for each
};

// What a root source reports its references to.
class RootVisitor {
 public:
  explicit RootVisitor(loam_visitor* visitor) : visitor_(visitor) {}
  // What is visited next is called this in heap snapshots.
  void Name(const char* name) { loam_visit_name(visitor_, name); }
  void Visit(const Value* values, size_t count) {
    loam_visit_value_range(visitor_, values, count);
  }
  void Visit(const void* object) { loam_visit_pointer(visitor_, object); }

 private:
  loam_visitor* visitor_;
};

// Memory outside the heap that refers into it. It is written with plain
// stores; VisitRoots runs while the interpreter stands still at a safepoint.
class RootSource {
 public:
  virtual ~RootSource() = default;
  virtual void VisitRoots(RootVisitor visitor) = 0;
};

// Who knows which functions of the program are running.
struct ProfiledCall {
  uint32_t function;  // of Heap::NumberFunction
  uint32_t line;      // where it is
};
class CallSource {
 public:
  virtual ~CallSource() = default;
  // Writes the innermost calls, up to `max`; how many. Runs inside allocations,
  // and allocates nothing.
  virtual size_t ListCalls(ProfiledCall* calls, size_t max) const = 0;
};

class Heap {
 public:
  // Null, and a message, if the options make no sense.
  static std::unique_ptr<Heap> Create(const HeapOptions& options,
                                      std::string* error);
  ~Heap();
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  // `source` must be there at every later safepoint.
  void AddRoots(RootSource* source, const char* name);

  // ---- Allocation: safepoints, zeroed, null when out of memory.

  template <typename T>
  T* New() {
    return WithKind<T>(loam_alloc(mutator_, TypeOf(T::kKind)));
  }
  // With `count` elements behind the fixed part.
  template <typename T>
  T* NewWithTail(size_t count) {
    return WithKind<T>(loam_alloc_array(mutator_, TypeOf(T::kKind), count));
  }
  Value* NewSlots(size_t count) {
    return static_cast<Value*>(loam_alloc_slots(mutator_, count));
  }
  void* NewBytes(size_t size) { return loam_alloc_bytes(mutator_, size); }

  // A string of these bytes, which lie outside the heap or in a string that
  // stays reachable. Strings of one ASCII character are shared.
  String* NewString(std::string_view text);
  // A string to be filled in before anyone else sees it.
  String* NewUnfilledString(size_t length);

  // ---- Stores of references into objects.

  void Store(void* object, Value* slot, Value value) {
    loam_store_value(mutator_, object, slot, value.bits());
  }
  template <typename T>
  void Store(void* object, T** slot, T* target) {
    loam_store_pointer(mutator_, object, slot, target);
  }
  // The same for an object that was allocated last: nothing has been allocated
  // since, and the interpreter was not polled.
  void Initialize(void* object, Value* slot, Value value) {
    loam_store_value_init(mutator_, object, slot, value.bits());
  }
  template <typename T>
  void Initialize(void* object, T** slot, T* target) {
    loam_store_pointer_init(mutator_, object, slot, target);
  }
  // memmove to `to`, which lies in `object`.
  void CopyValues(void* object, Value* to, const Value* from, size_t count) {
    loam_copy_slots(mutator_, object, to, from, count);
  }

  // ---- Weak references, weak maps, pins (heap_bindings_weak.cc).

  // Null when out of memory; a safepoint, and `target` stays reachable.
  WeakReference* NewWeakReference(Value target);
  // Nil if it has died.
  Value Target(WeakReference* reference);

  // Null when out of memory; a safepoint.
  WeakMap* NewWeakMap();
  // `key` has an identity. False when out of memory; a safepoint.
  bool SetInWeakMap(WeakMap* map, Value key, Value value);
  // Absent if there is none.
  Value GetFromWeakMap(WeakMap* map, Value key);
  // False if there was none.
  bool RemoveFromWeakMap(WeakMap* map, Value key);
  size_t CountOfWeakMap(WeakMap* map);
  // In order of insertion. `visit` allocates nothing.
  void WalkWeakMap(WeakMap* map,
                   const std::function<void(Value key, Value value)>& visit);

  // Keeps an object alive until it has been unpinned as often. False when out
  // of memory.
  bool Pin(Object* object);
  // False if it is not pinned.
  bool Unpin(Object* object);

  // ---- Collections.

  // For loops that might not allocate: lets a collection happen that another
  // thread waits for.
  void Poll() { loam_safepoint(mutator_); }
  void Collect();

  // ---- Finalizers.

  // Calls `function` with `object` some time after nothing else refers to the
  // object. Replaces an earlier finalizer; nil for `function` removes it. The
  // function is kept alive until then, and with it everything it captures: one
  // that captures the object is never called.
  bool SetFinalizer(Object* object, Value function);

  using FinalizerCaller = std::function<void(Value function, Value object)>;
  void SetFinalizerCaller(FinalizerCaller caller);

  bool finalizers_ready() const {
    return finalizers_ready_.load(std::memory_order_relaxed);
  }
  // Calls the finalizers that are due. Does nothing inside a finalizer.
  void RunFinalizers();

  // ---- The heap profile: which functions allocate.

  // `source` must be there as long as the program runs.
  void SetCallSource(const CallSource* source) { call_source_ = source; }
  // The number of a function in profiles. It outlives the function, which the
  // collector may find dead.
  uint32_t NumberFunction(std::string name, uint32_t first_line);
  void SetProgramFile(std::string name) { program_file_ = std::move(name); }
  // Collects, and writes what is in use then, and what has been allocated, for
  // `go tool pprof`. Empty, or what went wrong.
  std::string WriteProfile(const std::string& path);

  // ---- Statistics.

  std::vector<std::pair<const char*, double>> Statistics() const;
  void PrintSummary() const;  // to stderr
  // Writes a page that shows the heap. Empty, or what went wrong.
  std::string WriteMap(const std::string& path);
  // The same of a snapshot for Chrome's developer tools.
  std::string WriteSnapshot(const std::string& path);

 private:
  friend class NativeSection;
  template <typename T>
  friend class Rooted;

  // A finalizer function, rooted until it has been called.
  struct Registration {
    Heap* heap;
    loam_global* function;
  };

  Heap() = default;

  const loam_type* TypeOf(ObjectKind kind) const {
    return types_[static_cast<size_t>(kind)];
  }
  template <typename T>
  static T* WithKind(void* memory) {
    if (memory != nullptr) static_cast<Object*>(memory)->kind = T::kKind;
    return static_cast<T*>(memory);
  }

  struct ProfiledFunction {
    std::string name;
    uint32_t first_line;
  };
  static size_t ListFrames(loam_mutator* mutator, loam_profile_frame* frames,
                           size_t max, void* data);
  static void DescribeFunction(loam_word function,
                               loam_profile_function* description, void* data);

  static void Finalize(loam_mutator* mutator, void* object, void* data);
  void Forget(void* object);

  loam_heap* heap_ = nullptr;
  loam_mutator* mutator_ = nullptr;
  const loam_type* types_[kObjectKinds] = {};

  Value characters_[128];  // a registered root; made when first asked for

  std::unordered_map<void*, Registration> registrations_;
  FinalizerCaller finalizer_caller_;
  std::atomic<bool> finalizers_ready_ = false;
  bool running_finalizers_ = false;

  const CallSource* call_source_ = nullptr;
  std::vector<ProfiledFunction> profiled_functions_;
  std::string program_file_;
};

// A local variable that is a root: a frame of one pointer on the mutator's
// root stack. It may point to anything from the heap: objects, slots, bytes.
// Rooted variables end in reverse order of their beginning, as C++ scopes do.
template <typename T>
class Rooted {
 public:
  Rooted(Heap& heap, T* object) : object_(object) {
    loam_frame_push(heap.mutator_, &frame_, &kMap);
  }
  ~Rooted() { loam_frame_pop(&frame_); }
  Rooted(const Rooted&) = delete;
  Rooted& operator=(const Rooted&) = delete;

  T* get() const { return object_; }
  T* operator->() const { return object_; }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  static constexpr loam_frame_map kMap = {1, LOAM_POINTER, nullptr, "Rooted"};

  loam_frame frame_;
  T* object_;  // directly behind the frame, where the collector expects it
};

// In native state collections need not wait for this thread, so no object of
// the heap is touched.
class NativeSection {
 public:
  explicit NativeSection(Heap& heap) : mutator_(heap.mutator_) {
    loam_enter_native(mutator_);
  }
  ~NativeSection() { loam_leave_native(mutator_); }
  NativeSection(const NativeSection&) = delete;
  NativeSection& operator=(const NativeSection&) = delete;

 private:
  loam_mutator* mutator_;
};

}  // namespace toylang

#endif  // LOAM_EXAMPLES_TOYLANG_HEAP_BINDINGS_H_
