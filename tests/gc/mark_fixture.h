// A heap of objects of every scan kind, made by hand, and a marker over it.

#ifndef LOAM_TESTS_GC_MARK_FIXTURE_H_
#define LOAM_TESTS_GC_MARK_FIXTURE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/gc/mark_team.h"
#include "runtime/gc/mark_work.h"
#include "runtime/gc/marker.h"
#include "runtime/heap/memory_ledger.h"
#include "runtime/heap/metadata_allocator.h"
#include "runtime/heap/page_heap.h"
#include "runtime/heap/size_classes.h"
#include "runtime/heap/type_set.h"

namespace loam {

// A word of an object that may hold a reference.
struct TestSlot {
  WordKind kind;
  uintptr_t address;
};

struct TestObject {
  Span* span;
  size_t index;
  uintptr_t address;
  size_t bytes;  // that the object itself may use
  // Where its references are: what the test knows, independently of layouts.
  std::vector<TestSlot> slots;
};

enum class TestKind {
  kBytes,           // no references
  kValues,          // six values
  kMasks,           // a record: value, data, pointer, data, value
  kLayout,          // a record too long for masks
  kHeadedRecord,    // the type is in the cell: pointer, value
  kHeadedArray,     // an array of records: value, data, pointer
  kHeadedPointers,  // an array: a value, data, then pointers
  kHeadedCallback,  // a trace callback: pointer, value
  kHeadedUnset,     // the type word is not there yet: no references
  kSpanBitmap,      // bitmaps at the end of the span
  kCellBitmap,      // bitmaps at the end of the cell
  kLargeBytes,
  kLargeValues,
  kLargeArray,  // records of three words: they straddle pieces
  kLargePointers,
  kLargeBitmap,
  kLargeCallback,
  kCount,
};

class MarkFixture {
 public:
  // The marker's stack takes up to `stack_bytes`.
  MarkFixture(const ValueEncoding& encoding, size_t stack_bytes);
  ~MarkFixture();
  MarkFixture(const MarkFixture&) = delete;
  MarkFixture& operator=(const MarkFixture&) = delete;

  // The marker is one of several from now on, and calls in the others at once.
  // Their stacks take up to `stack_bytes`; kAsTheFirst: as much as its own.
  static constexpr size_t kAsTheFirst = 0;
  void AddWorkers(uint32_t count, size_t stack_bytes = kAsTheFirst);

  // Its words are all zero, but for type words and bitmaps.
  TestObject New(TestKind kind);
  // A record with one pointer and nothing else, the next cell to the last one.
  TestObject NewLink();

  static void Store(const TestSlot& slot, uintptr_t word) {
    *reinterpret_cast<uintptr_t*>(slot.address) = word;
  }
  static bool IsMarked(const TestObject& object) {
    return object.span->IsMarked(object.index);
  }
  // Mark bits in the whole heap.
  size_t CountMarked();
  // Clears them.
  void Unmark();
  // Marks what these roots lead to, and nothing else; the marker has given its
  // memory back.
  void MarkFrom(const std::vector<uintptr_t>& roots);

  MemoryLedger* ledger() { return &ledger_; }
  PageHeap* pages() { return &pages_; }
  TypeSet* types() { return types_; }
  Marker* marker() { return marker_; }
  MarkWork* work() { return &work_; }
  MarkStack* stack() { return &work_.stack; }

  // A span of `kind` with a free cell, and the next such cell taken.
  Span* SpanFor(const SpanShape& shape, int key);

 private:
  const Type* Register(const char* name, size_t prefix_words,
                       const std::vector<FieldInfo>& fields,
                       size_t element_words = 0,
                       const std::vector<FieldInfo>& element_fields = {});
  TestObject Take(Span* span);
  TestObject Small(TestKind kind, SpanKind span_kind, ScanKind scan,
                   size_t cell_bytes, const Type* type);
  TestObject Headed(TestKind kind, size_t cell_bytes, const Type* type);
  TestObject Large(ScanKind scan, size_t pages, const Type* type);
  void AddBitmapSlots(TestObject* object, uint64_t* pointers, uint64_t* values,
                      size_t first_bit, size_t words);

  MemoryLedger ledger_;
  PersistentAllocator persistent_{&ledger_};
  PageHeap pages_{&ledger_, &persistent_, {}};
  MarkWork work_;
  TypeSet* types_;
  alignas(64) char marker_storage_[Marker::kStorageBytes];
  Marker* marker_;
  MarkTeam* team_ = nullptr;
  const ValueEncoding encoding_;
  const size_t stack_bytes_;
  std::map<int, Span*> spans_;  // with free cells, by key
  uint64_t pattern_ = 0x9e3779b97f4a7c15;

  const Type* record_;
  const Type* long_record_;
  const Type* pair_;
  const Type* array_;
  const Type* pointers_;
  const Type* link_;
  const Type* traced_;
};

}  // namespace loam

#endif  // LOAM_TESTS_GC_MARK_FIXTURE_H_
