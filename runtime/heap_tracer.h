// Follows the references of a heap from its roots, breadth first and to the
// end, and keeps what it has seen: the roots with their names, the objects
// reached, and, if asked, what each was first reached through. The set of roots
// is that of a collection (gc/trace_roots.h), so what is reached is what a
// collection at this moment would keep, and what is reached first is reached on
// a shortest way.
//
// An object with an ordered finalizer that nothing else reaches is reached too,
// from a root of its own: it lives until its finalizer has run. One that only
// has an unordered finalizer is not, before a collection has queued that.
//
// An ephemeron value whose key has not been reached waits in an index by key,
// and is looked at again when the key is followed: all of them take linear time
// together.
//
// For as long as the world is stopped, everything swept and cursors flushed.
// Takes memory from the OS beside the heap: up to 16 bytes for each object
// reached while a table grows, 24 with Keep::kReferrers, and when the trace is
// over 8 and 16; the bits of ObjectSet; 32 bytes for each root that refers to
// an object; and while ephemeron values wait, half as much as the pages of
// their keys take.

#ifndef LOAM_RUNTIME_HEAP_TRACER_H_
#define LOAM_RUNTIME_HEAP_TRACER_H_

#include <cstddef>
#include <cstdint>

#include "runtime/gc/ephemeron_index.h"
#include "runtime/gc/tracer.h"
#include "runtime/object_references.h"
#include "runtime/object_set.h"
#include "runtime/os_array.h"

namespace loam {

class GcCycle;

// Words that are roots and belong together: a frame's, a provider's.
struct RootGroup {
  // Offsets into the names; see RootTable::name. 0 is "".
  uint32_t thread;  // the mutator's name, "fiber"; "": the heap's
  uint32_t kind;
  uint32_t name;
  uint32_t thread_number;  // tells threads of the same name apart
  uint64_t words;          // so far, with those that refer to nothing
};

struct RootReference {
  uint32_t group;    // in RootTable::groups
  uint32_t part;     // a name; see RootTable::name
  uint64_t index;    // of the word in its group, or the part of it
  uintptr_t target;  // the cell of the object referred to
};

class RootTable {
 public:
  // The words that follow belong to this. NULL is "".
  void EnterThread(const char* name);
  void EnterRoot(const char* kind, const char* name);
  void EnterPart(const char* name);
  // The next word, which refers to the object in cell `target`; 0: to none.
  // False when out of memory.
  bool AddWord(uintptr_t target);

  const OsArray<RootGroup>& groups() const { return groups_; }
  const OsArray<RootReference>& references() const { return references_; }
  const char* name(uint32_t offset) const { return &names_[offset]; }
  SlotName NameOf(const RootReference& reference) const {
    return NameOfReported(name(reference.part), reference.index);
  }

 private:
  static constexpr uint32_t kNoGroup = UINT32_MAX;

  bool AddGroup();
  // A group that the next words go on with, if they have no name but a kind;
  // otherwise kNoGroup.
  uint32_t FindGroup() const;
  bool AddName(const char* name, uint32_t* offset);

  OsArray<RootGroup> groups_;
  OsArray<RootReference> references_;
  OsArray<char> names_;  // each ends with a zero
  // Groups of the heap without a name: one for each kind.
  OsArray<uint32_t> nameless_;
  // What the next word belongs to. It becomes a group with its first reference:
  // deep stacks have many frames without any.
  const char* thread_ = "";
  const char* kind_ = "";
  const char* name_ = "";
  uint32_t thread_number_ = 0;
  uint32_t group_ = kNoGroup;
  uint64_t words_ = 0;  // as RootGroup::words, before there is a group
  uint32_t part_ = 0;
  uint64_t part_start_ = 0;
  bool is_out_of_memory_ = false;
};

// How an object was reached: through a word of another, from a trace callback
// of another, or through a root.
class Referrer {
 public:
  static Referrer Slot(uintptr_t slot) { return Referrer(slot | kSlot); }
  static Referrer Callback(uintptr_t cell) {
    return Referrer(cell | kCallback);
  }
  static Referrer Root(size_t reference) {
    return Referrer(reference << 2 | kRoot);
  }

  bool is_slot() const { return (word_ & 3) == kSlot; }
  bool is_root() const { return (word_ & 3) == kRoot; }
  // The word, or the object whose callback has reported it.
  uintptr_t address() const { return word_ & ~uintptr_t{3}; }
  size_t root_reference() const { return word_ >> 2; }

 private:
  enum Tag : uintptr_t { kSlot = 0, kCallback = 1, kRoot = 2 };
  explicit Referrer(uintptr_t word) : word_(word) {}

  uintptr_t word_;
};

class HeapTracer final : public Tracer {
 public:
  enum class Keep : bool { kObjects, kReferrers };

  HeapTracer(PageHeap* page_heap, const ValueEncoding& encoding, Keep keep)
      : page_heap_(page_heap),
        references_(page_heap, encoding),
        keep_(keep),
        waiting_(page_heap, &ledger_) {}

  // Once. Calls the embedder's callbacks: inside an EmbedderCall. False when
  // out of memory.
  bool Trace(GcCycle* cycle);

  const RootTable& roots() const { return roots_; }
  const ObjectReferences& references() const { return references_; }
  ObjectSet* reached() { return &reached_; }
  // The objects in the order in which they were reached, and the same of how.
  const OsArray<uintptr_t>& order() const { return order_; }
  const OsArray<Referrer>& referrers() const { return referrers_; }

  // These two are not needed any more.
  void ReleaseOrder() {
    order_.Release();
    referrers_.Release();
  }

  // Whether a reference of the object in a cell keeps what it refers to alive.
  // Before the trace is over: as far as is known.
  bool IsRetaining(uintptr_t cell, const Reference& reference) const;

  // Tracer
  void VisitValue(uintptr_t word) override { Visit(WordKind::kValue, word); }
  void VisitPointer(uintptr_t address) override {
    Visit(WordKind::kPointer, address);
  }
  void VisitAmbiguous(uintptr_t word) override {
    Visit(WordKind::kAmbiguous, word);
  }
  void EnterThread(const char* name) override { roots_.EnterThread(name); }
  void EnterRoot(const char* kind, const char* name) override {
    roots_.EnterRoot(kind, name);
  }
  void EnterPart(const char* name) override { roots_.EnterPart(name); }
  void VisitWeak(WordKind kind, uintptr_t word) override;
  void Drain() override;
  void ResolveWeakWords() override { FollowAll(); }
  void ScanObject(Span* span, uintptr_t cell) override;
  bool HasReached(uintptr_t address) const override;

 private:
  void Visit(WordKind kind, uintptr_t word);
  void AddRoot(uintptr_t target);
  void Reach(uintptr_t cell, Referrer referrer);
  // What has been reached and not followed yet, and all that it leads to.
  void FollowAll();
  void Follow(uintptr_t cell);
  // A key that the ephemeron value in a slot of the object in a cell waits for:
  // one that has not been reached. 0 if there is none.
  uintptr_t MissingKey(uintptr_t cell, uintptr_t slot) const;
  void WaitFor(uintptr_t key, uintptr_t slot);
  // One of the keys that the ephemeron value in a slot waits for has come.
  void FollowValue(uintptr_t slot);

  PageHeap* const page_heap_;
  const ObjectReferences references_;
  const Keep keep_;
  RootTable roots_;
  ObjectSet reached_;
  OsArray<uintptr_t> order_;
  OsArray<Referrer> referrers_;
  size_t followed_ = 0;  // so many of order_
  MemoryLedger ledger_;  // without a limit
  // The slots of ephemeron values whose keys have not been reached.
  EphemeronIndex waiting_;
  // Objects with finalizers.
  OsArray<uintptr_t> finalizable_;
  size_t finalizable_done_ = 0;
  bool is_out_of_memory_ = false;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_HEAP_TRACER_H_
