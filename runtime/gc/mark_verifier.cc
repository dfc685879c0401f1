#include "runtime/gc/mark_verifier.h"

#include <cstdio>
#include <cstring>

#include "runtime/base/fatal.h"
#include "runtime/gc/weak_words.h"
#include "runtime/heap/object_slots.h"
#include "runtime/heap/os_memory.h"
#include "runtime/heap/type_set.h"

namespace loam {
namespace {

// Address space for the stack; backed as far as it is used.
constexpr size_t kStackBytes = size_t{4} << 30;
// A bit for every word of an arena.
constexpr size_t kVerifyBitsBytes = kArenaBytes / kWordBytes / 8;
constexpr size_t kSourceBytes = 256;

}  // namespace

MarkVerifier::MarkVerifier(PageHeap* page_heap, const ValueEncoding& encoding,
                           const VerifierOptions& options)
    : page_heap_(page_heap),
      encoding_(encoding),
      options_(options),
      shadow_(&page_heap->arena_map()) {}

MarkVerifier::~MarkVerifier() {
  if (stack_ != nullptr) {
    os::Release(reinterpret_cast<uintptr_t>(stack_), kStackBytes);
  }
}

void MarkVerifier::CheckTypeWords(const TypeSet& types) {
  page_heap_->ForEachSpan([&types](const Span* span) {
    if (!span->is_headed()) return;
    for (size_t i = 0; i < span->cell_count; i++) {
      if (!span->IsAllocated(i)) continue;
      const uintptr_t cell = span->CellAddress(i);
      const Type* type = *span->TypeWord(cell);
      if (type == nullptr || types.Owns(type)) continue;
      FatalMisuse(
          "something wrote past the end of the object at %p, which has %zu "
          "bytes: the word behind it is %p, and no type",
          reinterpret_cast<void*>(cell), span->object_bytes(),
          static_cast<const void*>(type));
    }
  });
}

void MarkVerifier::Begin() {
  if (stack_ == nullptr) {
    stack_ = reinterpret_cast<uintptr_t*>(os::Allocate(kStackBytes));
  }
  bool ok = stack_ != nullptr;
  page_heap_->ForEachArena([&](Arena* arena) {
    if (arena->verify_bits == nullptr) {
      arena->verify_bits =
          reinterpret_cast<uint64_t*>(os::Allocate(kVerifyBitsBytes));
      ok = ok && arena->verify_bits != nullptr;
    } else if (!os::Decommit(reinterpret_cast<uintptr_t>(arena->verify_bits),
                             kVerifyBitsBytes)) {
      memset(arena->verify_bits, 0, kVerifyBitsBytes);
    }
  });
  LOAM_CHECK(ok, "no address space for the mark verifier");
  stack_size_ = 0;
  reached_objects_ = 0;
  ephemerons_wait_ = false;
  source_span_ = nullptr;
}

bool MarkVerifier::Reach(uintptr_t cell) {
  const Arena* arena = page_heap_->arena_map().Find(cell);
  const size_t bit = (cell - arena->base) / kWordBytes;
  if (TestBit(arena->verify_bits, bit)) return false;
  SetBit(arena->verify_bits, bit);
  reached_objects_++;
  return true;
}

bool MarkVerifier::HasReached(uintptr_t address) const {
  const Span* span = page_heap_->FindSpan(address);
  if (span == nullptr) return false;
  const size_t index = span->CellIndex(address);
  if (index >= span->cell_count) return false;
  const uintptr_t cell = span->CellAddress(index);
  const Arena* arena = page_heap_->arena_map().Find(cell);
  return TestBit(arena->verify_bits, (cell - arena->base) / kWordBytes);
}

void MarkVerifier::EnterRoot(const char* kind, const char* name) {
  root_kind_ = kind;
  root_name_ = name;
}

void MarkVerifier::VisitValue(uintptr_t word) {
  Follow(DecodeValue(encoding_, word));
}
void MarkVerifier::VisitPointer(uintptr_t address) { Follow(address); }

void MarkVerifier::VisitAmbiguous(uintptr_t word) {
  const Span* span = page_heap_->FindSpan(word);
  if (span == nullptr) return;
  const size_t index = span->CellIndex(word);
  if (index < span->cell_count && span->IsAllocated(index)) Follow(word);
}

void MarkVerifier::Follow(uintptr_t address) {
  if (address == 0) return;
  const Span* span = page_heap_->FindSpan(address);
  const size_t index = span == nullptr ? 0 : span->CellIndex(address);
  if (span == nullptr || index >= span->cell_count) {
    const bool in_heap = page_heap_->arena_map().Find(address) != nullptr &&
                         !page_heap_->IsManual(address);
    if (in_heap) FailMisuse("refers to memory that holds no object", address);
    const char* other =
        options_.other_heap == nullptr
            ? nullptr
            : options_.other_heap(options_.other_heap_data, address);
    if (other != nullptr) FailMisuse("refers to another heap", address);
    if (options_.forbid_foreign) {
      FailMisuse("refers to an address outside the heap", address);
    }
    return;
  }
  if (!span->IsAllocated(index)) {
    FailMisuse(
        "refers to a free cell: the object was unreachable at an earlier "
        "collection, so it was not rooted then",
        address);
  }
  if (!span->IsMarked(index)) {
    char source[kSourceBytes];
    DescribeSource(source, sizeof(source));
    FatalBug("marking missed the object at %p, to which %s refers",
             reinterpret_cast<void*>(address), source);
  }
  const uintptr_t cell = span->CellAddress(index);
  if (!Reach(cell)) return;
  LOAM_CHECK(stack_size_ < kStackBytes / sizeof(uintptr_t),
             "the mark verifier's stack is full");
  stack_[stack_size_++] = cell;
}

void MarkVerifier::Drain() {
  while (stack_size_ > 0) {
    const uintptr_t cell = stack_[--stack_size_];
    ScanObject(page_heap_->FindSpan(cell), cell);
  }
}

void MarkVerifier::ScanObject(Span* span, uintptr_t cell) {
  source_span_ = span;
  source_cell_ = cell;
  const Type* callback =
      ForEachSlot(*span, cell, [this](WordKind kind, uintptr_t slot) {
        source_slot_ = slot;
        CheckStore(slot, kind);
        const uintptr_t word = *reinterpret_cast<const uintptr_t*>(slot);
        switch (kind) {
          case WordKind::kValue:
            return VisitValue(word);
          case WordKind::kPointer:
            return VisitPointer(word);
          case WordKind::kWeakValue:
          case WordKind::kWeakPointer:
          case WordKind::kEphemeronKey:
            return VisitWeak(kind, word);
          case WordKind::kEphemeronValue:
            return;  // ResolveWeakWords
          default:
            return VisitAmbiguous(word);
        }
      });
  if (callback != nullptr) {
    source_slot_ = 0;
    callback->trace(this, reinterpret_cast<void*>(cell), span->object_bytes());
  }
  source_span_ = nullptr;
}

void MarkVerifier::VisitWeak(WordKind kind, uintptr_t word) {
  CheckWeak(kind == WordKind::kWeakPointer ? word
                                           : DecodeValue(encoding_, word));
}

void MarkVerifier::CheckWeak(uintptr_t address) {
  const Span* span = page_heap_->FindSpan(address);
  const size_t index = span == nullptr ? 0 : span->CellIndex(address);
  if (address == 0 || span == nullptr || index >= span->cell_count) return;
  if (IsNeverCleared(span->TypeOf(span->CellAddress(index)))) {
    return Follow(address);
  }
  if (!span->IsMarked(index)) {
    char source[kSourceBytes];
    DescribeSource(source, sizeof(source));
    FatalBug("%s refers to %p, which is dead, and was not cleared", source,
             reinterpret_cast<void*>(address));
  }
}

bool MarkVerifier::KeysAreReached(const WordMaps& maps, uintptr_t record) {
  bool all = true;
  ForEachMappedSlot<SlotStrength::kWeak>(
      maps, record, 0, maps.words, [&](WordKind kind, uintptr_t slot) {
        if (kind != WordKind::kEphemeronKey) return;
        const uintptr_t key =
            DecodeValue(encoding_, *reinterpret_cast<const uintptr_t*>(slot));
        const Span* span = key == 0 ? nullptr : page_heap_->FindSpan(key);
        all &= span == nullptr || span->CellIndex(key) >= span->cell_count ||
               HasReached(key);
      });
  return all;
}

void MarkVerifier::ResolveWeakWords() {
  uint64_t reached_before;
  bool some_wait;
  do {
    reached_before = reached_objects_;
    some_wait = false;
    ForEachWeakObject(
        page_heap_, [&](const Span* span, uintptr_t cell, const Type& type) {
          const uintptr_t end = cell + span->object_bytes();
          ForEachEphemeron(
              type, cell, end, cell, end,
              [&](const WordMaps& maps, uintptr_t record) {
                if (!KeysAreReached(maps, record)) {
                  some_wait = true;
                  return;
                }
                source_span_ = span;
                source_cell_ = cell;
                ForEachMappedSlot<SlotStrength::kWeak>(
                    maps, record, 0, maps.words,
                    [&](WordKind kind, uintptr_t slot) {
                      if (kind != WordKind::kEphemeronValue) return;
                      source_slot_ = slot;
                      VisitValue(*reinterpret_cast<const uintptr_t*>(slot));
                    });
                source_span_ = nullptr;
              });
        });
    Drain();
  } while (reached_objects_ != reached_before);
  ephemerons_wait_ = some_wait;
}

void MarkVerifier::CheckStore(uintptr_t slot, WordKind kind) {
  if (!options_.check_stores || kind == WordKind::kAmbiguous) return;
  if (shadow_.Matches(slot)) return;
  char source[kSourceBytes];
  DescribeSource(source, sizeof(source));
  FatalMisuse(
      "raw store: %s holds %#zx, but %#zx is what went through loam_store_* "
      "(or a loam_store_*_init came after a safepoint)",
      source, *reinterpret_cast<const uintptr_t*>(slot),
      static_cast<size_t>(shadow_.Recorded(slot)));
}

void MarkVerifier::FailMisuse(const char* what, uintptr_t target) {
  char source[kSourceBytes];
  DescribeSource(source, sizeof(source));
  FatalMisuse("%s %s (%p)", source, what, reinterpret_cast<void*>(target));
}

void MarkVerifier::DescribeSource(char* text, size_t bytes) const {
  if (source_span_ == nullptr) {
    const bool named = root_name_ != nullptr && root_name_[0] != '\0';
    snprintf(text, bytes, "%s%s%s%s", root_kind_, named ? " '" : "",
             named ? root_name_ : "", named ? "'" : "");
    return;
  }
  const Type* type = source_span_->TypeOf(source_cell_);
  const auto* cell = reinterpret_cast<const void*>(source_cell_);
  if (type == nullptr || source_slot_ == 0) {
    snprintf(text, bytes, "word %zu of the %s object at %p",
             source_slot_ == 0 ? 0 : (source_slot_ - source_cell_) / kWordBytes,
             type != nullptr ? type->name : "untyped", cell);
    return;
  }
  const FieldPosition field = FindField(*type, source_slot_ - source_cell_);
  if (field.in_element) {
    snprintf(text, bytes,
             "field '%s' (offset %zu) of element %zu of a '%s' at %p",
             field.name, field.offset, field.element_index, type->name, cell);
  } else {
    snprintf(text, bytes, "field '%s' (offset %zu) of a '%s' at %p", field.name,
             field.offset, type->name, cell);
  }
}

}  // namespace loam
