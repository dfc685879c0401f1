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

namespace loam_test {

struct Object;

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
  bool check_tail = true;  // nothing was left behind the size
  bool has_finalizer = false;
  bool is_pending = false;  // dead, its finalizer is to run
  uint64_t reached = 0;     // number of the cycle that reached it

  size_t words() const { return size / kWord; }
  loam_word_kind KindAt(size_t word) const;
  // What the word must hold.
  loam_word Expected(size_t word) const;
  Reference* Find(size_t word);
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
  size_t first_word = 0;
  loam_root* root = nullptr;
  loam_global* global = nullptr;
  loam_frame_map map = {};
  loam_handle_scope scope = {};
  std::vector<loam_handle> handles;

  size_t count() const { return kinds.size(); }
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
  // Adds an object that loam has just handed out; NULL if it overlaps one that
  // is alive.
  Object* Add(Object object);
  // The object an address belongs to, or NULL.
  Object* Find(uintptr_t address);

  // A collection: removes what is dead, objects and fibers.
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
  size_t pending() const;
  // Bytes that objects occupied after the last cycle, plus those added since.
  size_t bytes() const { return bytes_; }

  // ---- Roots, kept by the program.
  std::vector<std::unique_ptr<RootArray>> heap_roots;
  Stack own_stack;
  std::vector<std::unique_ptr<Stack>> fibers;
  Stack* current = &own_stack;
  std::vector<Object*> immortals;
  std::vector<Object*> running;  // finalizers that run now

 private:
  void Reach(Object* object);
  void ReachReferences(const Object& object);
  void ReachArray(RootArray* array);
  void ReachStack(Stack* stack);
  void Drain();

  std::map<uintptr_t, std::unique_ptr<Object>> objects_;
  std::vector<Object*> work_;
  uint64_t cycles_ = 0;
  uint64_t reached_objects_ = 0;
  uint64_t removed_objects_ = 0;
  uint64_t removed_fibers_ = 0;
  size_t bytes_ = 0;
};

}  // namespace loam_test

#endif  // LOAM_TESTS_HEAP_MODEL_MODEL_H_
