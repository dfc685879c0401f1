// The reference: a plain graph in ordinary memory that says what the heap must
// hold. It learns of every allocation, store and root, follows every collection
// (they announce themselves), and knows afterwards which objects are alive.
//
// The unit of life is a cell: several tiny objects may share one.

#ifndef LOAM_TESTS_HEAP_MODEL_MODEL_H_
#define LOAM_TESTS_HEAP_MODEL_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "api/loam.h"
#include "tests/heap_model/layout.h"
#include "tests/heap_model/model_specials.h"

namespace loam_test {

struct Object;

// The same kinds of words, seen as what they hold: an address or a value.
inline bool IsStrong(loam_word_kind kind) {
  return kind == LOAM_VALUE || kind == LOAM_POINTER || kind == LOAM_AMBIGUOUS;
}
inline loam_word_kind PlainKind(loam_word_kind kind) {
  switch (kind) {
    case LOAM_WEAK_POINTER:
      return LOAM_POINTER;
    case LOAM_WEAK_VALUE:
    case LOAM_EPHEMERON_KEY:
    case LOAM_EPHEMERON_VALUE:
      return LOAM_VALUE;
    default:
      return kind;
  }
}

// A slot that is not zero. `target` is NULL for words that are no references,
// and for ambiguous words, whose meaning is looked up when it is needed.
struct Reference {
  size_t word;
  loam_word raw;
  Object* target;
};

// One of several tiny objects in a cell.
struct TinyPart {
  size_t offset;
  size_t size;
  uint64_t content;
};

// A place in a record: [first, end) of an object's words.
struct Record {
  size_t first;
  size_t end;
};

struct Object {
  uint64_t content;  // data words are made from it
  uintptr_t address;
  size_t size;       // as asked for
  size_t cell_size;  // loam_object_size
  size_t extent;     // addresses that belong to it
  size_t filled;     // bytes of data written; beyond, data is zero
  const Layout* layout;
  std::vector<uint8_t> own_kinds;     // bitmap objects
  loam_word tag = 0;                  // word 0 of tagged layouts
  std::vector<Reference> references;  // by word
  std::vector<TinyPart> tiny;
  bool check_tail = true;      // nothing was left behind the size
  uint64_t reached = 0;        // number of the cycle that reached it
  uintptr_t reached_from = 0;  // for messages; 0: a root
  // What hangs on it. Tiny objects have finalizers and so on of their own, but
  // share what becomes of the cell.
  std::vector<Finalizer> finalizers;
  std::vector<Cleanup> cleanups;
  std::vector<SpecialWord> special_words;
  size_t pins = 0;
  DisposeState dispose_state = DisposeState::kAlive;
  std::vector<MapEntry> map_entries;  // of the array inside a weak map

  size_t words() const { return size / kWord; }
  loam_word_kind KindAt(size_t word) const;
  // What the word must hold.
  loam_word Expected(size_t word) const;
  Reference* Find(size_t word);
  Finalizer* FindFinalizer(uintptr_t at);
  bool HasFinalizer(bool unordered) const;
  // The ephemeron record that a word belongs to.
  Record RecordOf(size_t word) const;
  // The first words of records that hold something.
  std::vector<Record> Records() const;
  void Set(size_t word, loam_word raw, Object* target);
};

// Data word `word` of an object with this content.
loam_word DataWord(uint64_t content, size_t word);

enum class RootPlace {
  kRegistered,
  kRange,
  kHeapProvider,
  kGlobal,
  kMutatorProvider,
  kFiberProvider,
  kFrame,
  kHandle
};

// Words that are roots, of one kind of place. `targets` is what the model knows
// of them.
struct RootArray {
  RootPlace place;
  std::vector<uint8_t> kinds;
  std::vector<Object*> targets;
  std::vector<loam_word> memory;  // a frame's begins with its loam_frame
  std::vector<loam_word> raws;    // of weak kinds: what the words hold
  size_t first_word = 0;
  loam_root* root = nullptr;
  loam_global* global = nullptr;
  loam_frame_map map = {};
  loam_handle_scope scope = {};
  std::vector<loam_handle> handles;

  size_t count() const { return kinds.size(); }
  bool is_weak() const {
    return !IsStrong(static_cast<loam_word_kind>(kinds[0])) &&
           kinds[0] != LOAM_DATA;
  }
  loam_frame* frame() { return reinterpret_cast<loam_frame*>(memory.data()); }
  loam_word* Word(size_t i);
  loam_word Get(size_t i);
};

// A root stack: the mutator's own, or a fiber's. Frames and handle scopes are
// popped in reverse order.
struct Stack {
  loam_fiber* fiber = nullptr;
  Object* owner = nullptr;
  bool visited = false;
  std::vector<std::unique_ptr<RootArray>> entries;
  std::vector<std::unique_ptr<RootArray>> providers;
};

class Model {
 public:
  explicit Model(loam_word cleared_word) : cleared_word_(cleared_word) {}

  // Adds an object that loam has just handed out; NULL if it overlaps one that
  // is alive.
  Object* Add(Object object);
  // The object an address belongs to, or NULL.
  Object* Find(uintptr_t address);

  // A collection: removes what is dead, objects and fibers; clears what is
  // weak; queues what is to run.
  void Collect();

  const std::map<uintptr_t, std::unique_ptr<Object>>& objects() const {
    return objects_;
  }
  uint64_t cycles() const { return cycles_; }
  // Objects the last cycle reached.
  uint64_t reached_objects() const { return reached_objects_; }
  uint64_t removed_objects() const { return removed_objects_; }
  uint64_t removed_fibers() const { return removed_fibers_; }
  size_t finalizers_set() const;
  size_t cleanups_set() const;
  size_t pinned_objects() const;
  // Handles of objects that are not dead.
  size_t weak_handles() const;
  // Objects whose dispose functions wait.
  size_t waiting() const;
  // What is to run, of these too; and of that, what has been queued for sure,
  // since every span was swept after it died.
  size_t pending() const { return queue.size() + waiting(); }
  // Bytes that objects occupied after the last cycle, plus those added since.
  size_t bytes() const { return bytes_; }

  // ---- Roots, kept by the program.
  std::vector<std::unique_ptr<RootArray>> heap_roots;
  Stack own_stack;
  std::vector<std::unique_ptr<Stack>> fibers;
  Stack* current = &own_stack;
  std::vector<Object*> immortals;
  std::vector<Object*> running;  // what callbacks that run now have

  // ---- Specials that are no root, kept by the program.
  std::vector<std::unique_ptr<WeakHandle>> handles;
  std::vector<std::unique_ptr<Watch>> watches;
  std::vector<std::unique_ptr<WeakProvider>> weak_providers;
  std::vector<bool> word_kind_has_died;  // by number: somebody asks
  CallQueue queue;
  DisposeLog* disposed = nullptr;

 private:
  // ---- model_collect.cc
  bool IsReached(const Object* object) const {
    return object->reached == cycles_;
  }
  bool IsDead(const Object* object) const {
    return object != nullptr && !IsReached(object);
  }
  void Reach(Object* object);
  void ReachWeakly(Object* object);
  void ReachReferences(Object* object);
  void ReachArray(RootArray* array);
  void ReachStack(Stack* stack);
  void ReachRoots();
  void ReachValues(const Object& holder);
  bool ReachFibers();
  // Everything that follows from what has been reached.
  void Close();
  void AskProviders();
  void ClearObject(Object* object);
  void ClearArray(RootArray* array);
  void ClearWeak();
  void ClearHandles(bool long_ones);
  bool QueueUnordered();
  // Whether it stays.
  bool Sweep(Object* object);

  const loam_word cleared_word_;
  std::map<uintptr_t, std::unique_ptr<Object>> objects_;
  std::vector<Object*> work_;
  std::vector<Object*> holders_;  // of ephemerons, reached
  uintptr_t from_ = 0;            // the object that is looked at
  uint64_t cycles_ = 0;
  uint64_t reached_objects_ = 0;
  uint64_t removed_objects_ = 0;
  uint64_t removed_fibers_ = 0;
  size_t bytes_ = 0;
};

}  // namespace loam_test

#endif  // LOAM_TESTS_HEAP_MODEL_MODEL_H_
