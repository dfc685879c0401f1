#include "runtime/object_allocator.h"

#include <algorithm>
#include <cstring>

#include "runtime/checking.h"
#include "runtime/quick_allocation.h"
#include "runtime/runtime.h"

namespace loam {
namespace {

// No object can be larger; what is added to sizes up to here cannot overflow.
constexpr size_t kMaxLargeBytes = size_t{1} << 44;

// A type that allocates this much between two cycles, on one mutator, gets
// typed spans.
constexpr uint32_t kPromoteBytes = 32 << 10;

// What happens before an allocation that is a safepoint.
void BeforeAllocation(Mutator* m, AllocationMode mode) {
  if (mode == AllocationMode::kNeverCollect) return;
  if (m->safepoint_word.load(std::memory_order_relaxed) == 0) return;
  CheckThread(m, "an allocation");
  m->runtime->Safepoint(m);
  if (StressWantsCollection(m)) {
    m->runtime->Collect(m, CycleReason::kStress, /*sweep_all=*/true);
  }
}

// Whether an allocation that failed after a cycle may have come too late: a
// thread that had to wait for the processor finds that others have used all
// that there was. Only while they stand still can it tell that from a heap that
// is full.
bool OthersMayHaveTakenIt(const Mutator* m, CycleOutcome outcome) {
  return outcome == CycleOutcome::kSuperseded ||
         (outcome == CycleOutcome::kRan && m->runtime->mutator_count() > 1);
}

// Calls attempt(may_grow) until it returns something else than NULL, making
// room in between; NULL when nothing more can be done.
template <typename Attempt>
void* WithMemory(Mutator* m, size_t bytes, AllocationMode mode,
                 Attempt&& attempt_with) {
  Runtime* runtime = m->runtime;
  const auto attempt = [&] { return attempt_with(MayGrow::kYes); };
  if (mode == AllocationMode::kMayCollect) CollectIfDue(m);
  uint64_t cycles = runtime->cycle()->cycles();
  void* result = nullptr;
  if (mode == AllocationMode::kMayCollect && runtime->KeepsMemoryLimit()) {
    result = attempt_with(MayGrow::kWithinSoftLimit);
    if (result == nullptr && runtime->MayCollectForMemoryLimit()) {
      runtime->Collect(m, CycleReason::kMemory, /*sweep_all=*/false, cycles);
      cycles = runtime->cycle()->cycles();
      result = attempt_with(MayGrow::kWithinSoftLimit);
    }
  }
  if (result == nullptr) result = attempt();
  if (result != nullptr) return result;
  // Free pages in the wrong place count against the limit.
  const auto release_and_attempt = [&]() -> void* {
    return runtime->ReleaseMemory() > 0 ? attempt() : nullptr;
  };
  if (mode == AllocationMode::kNeverCollect) return release_and_attempt();
  const auto make_room = [&] {
    const CycleOutcome outcome =
        runtime->Collect(m, CycleReason::kMemory, /*sweep_all=*/true, cycles);
    void* object = attempt();
    const bool stop = object == nullptr && OthersMayHaveTakenIt(m, outcome);
    if (stop) {
      runtime->StopTheWorld(m);
      object = attempt();
      if (object == nullptr) {
        runtime->Collect(m, CycleReason::kMemory, /*sweep_all=*/false);
        object = attempt();
      }
    }
    if (object == nullptr) object = release_and_attempt();
    if (stop) runtime->StartTheWorld(m);
    cycles = runtime->cycle()->cycles();
    return object;
  };
  result = make_room();
  const Callbacks& callbacks = runtime->options().callbacks;
  while (result == nullptr && callbacks.out_of_memory != nullptr &&
         callbacks.out_of_memory(runtime, bytes)) {
    result = make_room();
  }
  if (result == nullptr) {
    ErrorMessage message;
    message.Format("out of memory: no room for %zu bytes", bytes);
    runtime->RememberError(Status::kOutOfMemory, message);
  }
  return result;
}

// The class's entry, committed and on the list of used ones; NULL when out of
// memory.
CachedSpan* UseClass(Mutator* m, SpanClass span_class) {
  CachedSpan& cached = m->cached(span_class);
  if (cached.next_used != 0) return &cached;
  if (!m->region.EnsureCommitted(CursorOffset(span_class),
                                 sizeof(AllocationCursor)) ||
      !m->region.EnsureCommitted(CachedOffset(span_class),
                                 sizeof(CachedSpan))) {
    return nullptr;
  }
  cached.next_used = m->first_used;
  m->first_used = span_class + 1;
  return &cached;
}

SpanShape ShapeOf(Runtime* runtime, SpanClass span_class, const Type* type) {
  SpanShape shape = {};
  if (type != nullptr) {
    shape.kind = SpanKind::kTyped;
    shape.scan = type->scan;
    shape.type = type;
    shape.cell_bytes = type->cell_bytes;
    shape.pages = static_cast<uint32_t>(TypedSpanPages(type->cell_bytes));
    shape.central = &runtime->type_state(*type)->central;
    return shape;
  }
  shape.kind = static_cast<SpanKind>(span_class / kSizeClassCount);
  shape.scan = ScanKindOf(shape.kind);
  shape.size_class = static_cast<uint8_t>(span_class % kSizeClassCount);
  shape.cell_bytes = ClassCellBytes(shape.size_class);
  shape.pages = static_cast<uint32_t>(ClassSpanPages(shape.size_class));
  shape.central = runtime->classed_central(span_class);
  return shape;
}

// One try at a cell of a class whose cursor is empty.
void* TryRefill(Mutator* m, SpanClass span_class, const Type* type,
                MayGrow may_grow) {
  Runtime* runtime = m->runtime;
  CachedSpan* cached = UseClass(m, span_class);
  if (cached == nullptr) return nullptr;
  Span* used = cached->span;
  if (used != nullptr) {
    m->cursor(span_class) = {0, 0};
    cached->run_end = 0;
  }
  const size_t bytes_before = used != nullptr ? used->bytes() : 0;
  cached->span = runtime->span_source()->Acquire(
      ShapeOf(runtime, span_class, type), may_grow, &m->heap_cache, used);
  const size_t bytes = cached->span != nullptr ? cached->span->bytes() : 0;
  // One span for another of the class, mostly: nothing to count.
  if (bytes != bytes_before) {
    runtime->counters()->cached_span_bytes.Add(bytes - bytes_before);
  }
  return cached->span == nullptr
             ? nullptr
             : TakeRun(m, span_class, cached, SampledCell::kTake);
}

// A cell of a class, from its cached span or another one.
void* AllocateCell(Mutator* m, SpanClass span_class, const Type* type,
                   size_t cell_bytes, AllocationMode mode) {
  if (void* object = TakeCell(m, span_class, cell_bytes, SampledCell::kTake)) {
    return object;
  }
  const ScopedFatalContext context(m->runtime->fatal_context());
  return WithMemory(m, cell_bytes, mode, [&](MayGrow may_grow) {
    return TryRefill(m, span_class, type, may_grow);
  });
}

void* RefuseSize(Mutator* m, size_t bytes) {
  ErrorMessage message;
  message.Format("out of memory: no object can have %zu bytes", bytes);
  m->runtime->RememberError(Status::kOutOfMemory, message);
  return nullptr;
}

enum class Content { kZero, kUndefined };

void* AllocateLarge(Mutator* m, const Type* type, ScanKind scan, size_t bytes,
                    AllocationMode mode, Content content = Content::kZero) {
  if (bytes > kMaxLargeBytes) return RefuseSize(m, bytes);
  Runtime* runtime = m->runtime;
  SpanShape shape = {};
  shape.kind = SpanKind::kLarge;
  shape.scan = scan;
  shape.type = type;
  shape.pages = static_cast<uint32_t>(DivideRoundingUp(bytes, kPageBytes));
  shape.cell_bytes = shape.pages * kPageBytes;
  shape.central = runtime->large_central();
  const ScopedFatalContext context(runtime->fatal_context());
  return WithMemory(m, bytes, mode, [&](MayGrow may_grow) -> void* {
    // Not from the mutator's cache: measured, that costs more than it saves.
    Span* span = runtime->span_source()->AcquireLarge(shape, may_grow);
    if (span == nullptr) return nullptr;
    auto* object = reinterpret_cast<void*>(span->base);
    if (span->need_zero && content == Content::kZero) {
      memset(object, 0, span->cell_bytes);
    }
    SampleLarge(m, span);
    return object;
  });
}

// An object with a type word at the end of its cell, or a span of its own.
void* AllocateHeaded(Mutator* m, const Type& type, size_t bytes,
                     AllocationMode mode) {
  if (bytes > kMaxLargeBytes) return RefuseSize(m, bytes);
  const size_t cell_needed = bytes + kWordBytes;
  const size_t size_class =
      cell_needed <= kMaxSmallBytes
          ? AlignedSizeClassOf(cell_needed, type.alignment)
          : kSizeClassCount;
  if (size_class == kSizeClassCount) {
    return AllocateLarge(m, &type, type.scan, cell_needed, mode);
  }
  const size_t cell_bytes = ClassCellBytes(size_class);
  void* object = AllocateCell(m, ClassedSpanClass(type.headed_kind, size_class),
                              nullptr, cell_bytes, mode);
  if (object != nullptr) SetTypeWord(object, cell_bytes, type);
  return object;
}

// Whether a fixed-size type allocates from typed spans now. Rare types do not,
// and none does that has no span yet while caches hold too much.
bool UsesTypedSpans(Mutator* m, const Type& type) {
  Runtime* runtime = m->runtime;
  if ((type.flags & kTypeHot) == 0 &&
      !runtime->type_state(type)->typed.load(std::memory_order_relaxed)) {
    return false;
  }
  if (m->cached(TypedSpanClass(type)).span != nullptr) return true;
  if (runtime->counters()->cached_span_bytes.Get() >
      runtime->CachedBytesBound()) {
    return false;
  }
  return runtime->PromoteType(type);
}

// Counts what a type allocates without typed spans, and gives it some when it
// is enough.
void CountHeaded(Mutator* m, const Type& type, size_t bytes) {
  CachedSpan* cached = UseClass(m, TypedSpanClass(type));
  if (cached == nullptr) return;
  cached->type_bytes = static_cast<uint32_t>(
      std::min<uint64_t>(uint64_t{cached->type_bytes} + bytes, UINT32_MAX));
  if (cached->type_bytes >= kPromoteBytes) m->runtime->PromoteType(type);
}

// The last step of every allocation.
void* Finish(Mutator* m, void* object) {
  if (m->sampled_span != nullptr) RecordSample(m);
  if (object != nullptr && m->fresh_objects != nullptr) {
    AddFreshObject(m, object);
  }
  return object;
}

size_t AtLeastOne(size_t bytes) { return bytes == 0 ? 1 : bytes; }

void* AllocateTiny(Mutator* m, size_t bytes, AllocationMode mode) {
  if (void* object = TakeTiny(m, bytes)) return object;
  constexpr size_t kClass = SizeClassOf(kTinyCellBytes);
  static_assert(ClassCellBytes(kClass) == kTinyCellBytes);
  void* cell = AllocateCell(m, ClassedSpanClass(SpanKind::kNoscan, kClass),
                            nullptr, kTinyCellBytes, mode);
  if (cell == nullptr) return nullptr;
  m->tiny_next = reinterpret_cast<uintptr_t>(cell) + bytes;
  m->tiny_limit = reinterpret_cast<uintptr_t>(cell) + kTinyCellBytes;
  return cell;
}

void* AllocateClassed(Mutator* m, SpanKind kind, ScanKind scan, size_t bytes,
                      AllocationMode mode) {
  if (bytes > kMaxSmallBytes) {
    return AllocateLarge(m, nullptr, scan, bytes, mode);
  }
  const size_t size_class = SizeClassOf(bytes);
  return AllocateCell(m, ClassedSpanClass(kind, size_class), nullptr,
                      ClassCellBytes(size_class), mode);
}

// Sets the bits of a cell in one of its span's bitmaps; `bits` NULL: none.
void WriteSpanBits(uint64_t* bitmap, size_t first, size_t count,
                   const uint64_t* bits, size_t given) {
  ClearBitRange(bitmap, first, first + count);
  if (bits == nullptr) return;
  for (size_t i = FindFirstSet(bits, 0, given); i < given;
       i = FindFirstSet(bits, i + 1, given)) {
    SetBit(bitmap, first + i);
  }
}

// A word is a pointer or a value.
void RequireDisjoint(Mutator* m, const uint64_t* pointer_bits,
                     const uint64_t* value_bits, size_t words) {
  if (pointer_bits == nullptr || value_bits == nullptr) return;
  for (size_t w = 0; w < BitmapWords(words); w++) {
    uint64_t both = pointer_bits[w] & value_bits[w];
    if (words - w * kBitsPerWord < kBitsPerWord) {
      both &= LowBits(words - w * kBitsPerWord);
    }
    if (both == 0) continue;
    const ScopedFatalContext context(m->runtime->fatal_context());
    FatalMisuse(
        "loam_alloc_bitmap: value_bits: word %zu is in pointer_bits too",
        w * kBitsPerWord + std::countr_zero(both));
  }
}

}  // namespace

void CollectIfDue(Mutator* m) {
  Runtime* runtime = m->runtime;
  const uint64_t cycles = runtime->cycle()->cycles();
  if (!runtime->TriggerReached()) return;
  runtime->Collect(m, CycleReason::kTrigger, /*sweep_all=*/false, cycles);
}

void* AllocateObject(Mutator* m, const Type& type, size_t bytes,
                     AllocationMode mode) {
  BeforeAllocation(m, mode);
  void* object;
  if (type.is_fixed_size() && type.cell_bytes > 1 && UsesTypedSpans(m, type)) {
    object =
        AllocateCell(m, TypedSpanClass(type), &type, type.cell_bytes, mode);
  } else {
    if (type.is_fixed_size() && type.cell_bytes > 1) {
      CountHeaded(m, type, type.cell_bytes);
    }
    object = AllocateHeaded(m, type, bytes, mode);
  }
  return Finish(m, object);
}

void* AllocateBytes(Mutator* m, size_t bytes, AllocationMode mode) {
  BeforeAllocation(m, mode);
  bytes = AtLeastOne(bytes);
  void* object = bytes < kTinyCellBytes
                     ? AllocateTiny(m, bytes, mode)
                     : AllocateClassed(m, SpanKind::kNoscan, ScanKind::kNoscan,
                                       bytes, mode);
  return Finish(m, object);
}

void* AllocateUnzeroedBytes(Mutator* m, size_t bytes, AllocationMode mode) {
  if (bytes <= kMaxSmallBytes) return AllocateBytes(m, bytes, mode);
  BeforeAllocation(m, mode);
  return Finish(m, AllocateLarge(m, nullptr, ScanKind::kNoscan, bytes, mode,
                                 Content::kUndefined));
}

void* AllocateSlots(Mutator* m, size_t bytes, AllocationMode mode) {
  BeforeAllocation(m, mode);
  return Finish(m, AllocateClassed(m, SpanKind::kSlots, ScanKind::kValues,
                                   AtLeastOne(bytes), mode));
}

void* AllocateBitmap(Mutator* m, size_t bytes, const uint64_t* pointer_bits,
                     const uint64_t* value_bits, AllocationMode mode) {
  BeforeAllocation(m, mode);
  const size_t words = bytes / kWordBytes;
  RequireDisjoint(m, pointer_bits, value_bits, words);
  if (bytes <= kMaxSpanBitmapBytes) {
    auto* object = static_cast<char*>(AllocateClassed(
        m, SpanKind::kBitmap, ScanKind::kBitmap, AtLeastOne(bytes), mode));
    if (object == nullptr) return nullptr;
    const auto address = reinterpret_cast<uintptr_t>(object);
    const Span* span = m->runtime->page_heap()->FindSpan(address);
    const size_t first = (address - span->base) / kWordBytes;
    const size_t cell_words = span->cell_bytes / kWordBytes;
    WriteSpanBits(span->PointerBitmap(), first, cell_words, pointer_bits,
                  words);
    WriteSpanBits(span->ValueBitmap(), first, cell_words, value_bits, words);
    return Finish(m, object);
  }
  // The bitmaps speak for every word of the cell, themselves included: a 64th
  // each, and a word for rounding.
  const size_t maps = 2 * (bytes / 60 + 2 * kWordBytes);
  const Type& type = *m->runtime->types()->internal_type(TypeSet::kCellBitmap);
  void* object = AllocateHeaded(
      m, type, AlignUp(bytes, kWordBytes) + AlignUp(maps, 8), mode);
  if (object == nullptr) return nullptr;
  const auto address = reinterpret_cast<uintptr_t>(object);
  const Span* span = m->runtime->page_heap()->FindSpan(address);
  const CellBitmaps bitmaps =
      CellBitmapsOf(address, address + span->object_bytes());
  LOAM_CHECK(bitmaps.words >= words, "no room for the bitmaps of %zu bytes",
             bytes);
  WriteSpanBits(bitmaps.pointers, 0, words, pointer_bits, words);
  WriteSpanBits(bitmaps.values, 0, words, value_bits, words);
  return Finish(m, object);
}

void* AllocateAmbiguous(Mutator* m, size_t bytes, AllocationMode mode) {
  BeforeAllocation(m, mode);
  return Finish(
      m, AllocateHeaded(
             m, *m->runtime->types()->internal_type(TypeSet::kAmbiguousWords),
             AtLeastOne(bytes), mode));
}

bool ResizeInPlace(Mutator* m, void* buffer, size_t old_bytes,
                   size_t new_bytes) {
  if (new_bytes <= old_bytes) return true;
  if (old_bytes < kTinyCellBytes) return false;  // It may share its cell.
  Span* span;
  uintptr_t cell;
  const auto address = reinterpret_cast<uintptr_t>(buffer);
  if (!m->runtime->FindObject(address, &span, &cell)) return false;
  if (cell != address) {
    const ScopedFatalContext context(m->runtime->fatal_context());
    FatalMisuse("loam_resize_bytes: buffer: %p lies inside the object at %p",
                buffer, reinterpret_cast<void*>(cell));
  }
  if (new_bytes > span->object_bytes()) return false;
  memset(static_cast<char*>(buffer) + old_bytes, 0, new_bytes - old_bytes);
  return true;
}

}  // namespace loam
