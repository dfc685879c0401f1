// An independent second opinion on marking.
//
// After marking, the verifier traces the heap again from the same roots,
// plainly and into bits of its own, and checks every reference it follows. What
// it finds is fatal and names the object or root, the field and the target:
//
//   - a reachable object that the marker did not mark (a bug of loam's)
//   - a reference to a free cell (the object was not rooted at some collection)
//   - a reference into another loam heap of this thread; or, if so asked, to
//     anything outside the heap
//   - a weak word or ephemeron that refers to something dead
//   - a slot whose content did not go through the store functions, if the heap
//     keeps a store shadow
//
// Its memory is not charged to the heap.

#ifndef LOAM_RUNTIME_GC_MARK_VERIFIER_H_
#define LOAM_RUNTIME_GC_MARK_VERIFIER_H_

#include <cstddef>
#include <cstdint>

#include "runtime/gc/store_shadow.h"
#include "runtime/gc/tracer.h"
#include "runtime/gc/value_encoding.h"
#include "runtime/heap/page_heap.h"

namespace loam {

struct VerifierOptions {
  bool forbid_foreign = false;
  bool check_stores = false;
  // The name of another heap that `address` lies in, or NULL.
  const char* (*other_heap)(void* data, uintptr_t address) = nullptr;
  void* other_heap_data = nullptr;
};

class MarkVerifier final : public Tracer {
 public:
  MarkVerifier(PageHeap* page_heap, const ValueEncoding& encoding,
               const VerifierOptions& options);
  ~MarkVerifier();
  MarkVerifier(const MarkVerifier&) = delete;
  MarkVerifier& operator=(const MarkVerifier&) = delete;

  // Type words lie behind their objects, so whatever writes past the end of an
  // object hits one. Fatal, naming the object; to be called before anything
  // follows a type word.
  void CheckTypeWords(const TypeSet& types);

  // Starts a trace.
  void Begin();

  void VisitValue(uintptr_t word) override;
  void VisitPointer(uintptr_t address) override;
  void VisitAmbiguous(uintptr_t word) override;
  void EnterRoot(const char* kind, const char* name) override;
  void VisitWeak(WordKind kind, uintptr_t word) override;
  void Drain() override;
  // Again and again as long as that reaches something: slow and simple.
  void ResolveWeakWords() override;
  void ScanObject(Span* span, uintptr_t cell) override;
  bool HasReached(uintptr_t address) const override;

  uint64_t reached_objects() const { return reached_objects_; }
  // Whether the trace has left ephemeron records whose keys it has not reached:
  // marking should have cleared them.
  bool ephemerons_wait() const { return ephemerons_wait_; }

 private:
  // Sets the verifier's bit of a cell; false if it was set.
  bool Reach(uintptr_t cell);
  void Follow(uintptr_t address);
  void CheckStore(uintptr_t slot, WordKind kind);
  // Follows a weak reference that is strong because of its target's type; any
  // other must be to something alive.
  void CheckWeak(uintptr_t address);
  // Whether all keys of an ephemeron record have been reached.
  bool KeysAreReached(const WordMaps& maps, uintptr_t record);
  [[noreturn]] void FailMisuse(const char* what, uintptr_t target);
  // Writes who refers: "field 'car' of a 'pair' at 0x..." or "root ...".
  void DescribeSource(char* text, size_t bytes) const;

  PageHeap* const page_heap_;
  const ValueEncoding encoding_;
  const VerifierOptions options_;
  const StoreShadow shadow_;
  // Cells reached but not scanned.
  uintptr_t* stack_ = nullptr;
  size_t stack_size_ = 0;
  uint64_t reached_objects_ = 0;
  bool ephemerons_wait_ = false;
  // What is being scanned: an object and slot, or a root.
  const Span* source_span_ = nullptr;
  uintptr_t source_cell_ = 0;
  uintptr_t source_slot_ = 0;
  const char* root_kind_ = "";
  const char* root_name_ = nullptr;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_GC_MARK_VERIFIER_H_
