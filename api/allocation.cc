// Allocation: each function tries the next cell of its class first
// (quick_allocation.h), then checks its arguments and goes the long way.

#include <cstring>

#include "api/internal.h"
#include "runtime/object_allocator.h"
#include "runtime/quick_allocation.h"

namespace loam {
namespace {

static_assert(sizeof(AllocationCursor) == sizeof(loam_cursor));
static_assert(offsetof(AllocationCursor, next) == offsetof(loam_cursor, next));
static_assert(offsetof(AllocationCursor, limit) ==
              offsetof(loam_cursor, limit));

// NULL for a request that cannot be met, with the reason as the last error.
void* TooLarge(Mutator* m, const char* call) {
  ErrorMessage message;
  message.Format("%s: out of memory: the size overflows", call);
  (void)Report(m->runtime, Status::kOutOfMemory, message);
  return nullptr;
}

void CheckType(Mutator* m, const loam_type* type, const char* call) {
  RequireNonNull(type, call, "type");
  // A type of another set has another heap's numbers: its cursor would be a
  // wrong one.
  if (m->runtime->options().check.check_stores &&
      !m->runtime->types()->Contains(Unwrap(type))) {
    FatalMisuse("%s: type: '%s' belongs to another type set than the heap '%s'",
                call, Unwrap(type)->name, m->runtime->options().name);
  }
}

__attribute__((noinline)) void* AllocateChecked(loam_mutator* m,
                                                const loam_type* type,
                                                size_t count, const char* call,
                                                AllocationMode mode) {
  Mutator* mutator = RequireMutator(m, call);
  CheckType(mutator, type, call);
  const Type& t = *Unwrap(type);
  size_t elements;
  size_t bytes;
  if (__builtin_mul_overflow(t.element_size, count, &elements) ||
      __builtin_add_overflow(t.size, elements, &bytes)) {
    return TooLarge(mutator, call);
  }
  if (t.is_fixed_size() && count != 0) {
    const ScopedFatalContext context(mutator->runtime->fatal_context());
    FatalMisuse("%s: count: type '%s' has no trailing array", call, t.name);
  }
  // A large object has no type word behind it: the address past a tail of
  // nothing would be outside.
  if (bytes == 0) bytes = 1;
  return AllocateObject(mutator, t, bytes, mode);
}

// Inlined, so that calls with a constant count look at nothing else.
__attribute__((always_inline)) inline void* NewObject(loam_mutator* m,
                                                      const loam_type* type,
                                                      size_t count,
                                                      const char* call,
                                                      AllocationMode mode) {
  void* object =
      type != nullptr ? TakeObject(Unwrap(m), *Unwrap(type), count) : nullptr;
  return object != nullptr ? object
                           : AllocateChecked(m, type, count, call, mode);
}

inline void* NewBytes(loam_mutator* m, size_t size, const char* call,
                      AllocationMode mode) {
  if (void* object = TakeBytes(Unwrap(m), size)) return object;
  return AllocateBytes(RequireMutator(m, call), size, mode);
}

void* NewSlots(loam_mutator* m, size_t count, const char* call,
               AllocationMode mode) {
  if (void* object = TakeSlots(Unwrap(m), count)) return object;
  Mutator* mutator = RequireMutator(m, call);
  size_t bytes;
  if (__builtin_mul_overflow(count, sizeof(loam_word), &bytes)) {
    return TooLarge(mutator, call);
  }
  return AllocateSlots(mutator, bytes, mode);
}

}  // namespace
}  // namespace loam

using namespace loam;  // NOLINT: the functions below are the C API itself.

extern "C" {

void* loam_alloc(loam_mutator* m, const loam_type* type) {
  return loam_alloc_slow(m, type);
}

void* loam_alloc_slow(loam_mutator* m, const loam_type* type) {
  return NewObject(m, type, 0, "loam_alloc", AllocationMode::kMayCollect);
}

void* loam_alloc_array(loam_mutator* m, const loam_type* type, size_t count) {
  return NewObject(m, type, count, "loam_alloc_array",
                   AllocationMode::kMayCollect);
}

void* loam_alloc_bytes(loam_mutator* m, size_t size) {
  return NewBytes(m, size, "loam_alloc_bytes", AllocationMode::kMayCollect);
}

void* loam_alloc_bytes_unzeroed(loam_mutator* m, size_t size) {
  if (void* object = TakeBytes(Unwrap(m), size)) return object;
  return AllocateUnzeroedBytes(RequireMutator(m, "loam_alloc_bytes_unzeroed"),
                               size, AllocationMode::kMayCollect);
}

void* loam_alloc_slots(loam_mutator* m, size_t count) {
  return NewSlots(m, count, "loam_alloc_slots", AllocationMode::kMayCollect);
}

void* loam_alloc_bitmap(loam_mutator* m, size_t size,
                        const uint64_t* pointer_bits,
                        const uint64_t* value_bits) {
  Mutator* mutator = RequireMutator(m, "loam_alloc_bitmap");
  if (size > SIZE_MAX / 2) return TooLarge(mutator, "loam_alloc_bitmap");
  return AllocateBitmap(mutator, size, pointer_bits, value_bits,
                        AllocationMode::kMayCollect);
}

void* loam_alloc_ambiguous(loam_mutator* m, size_t count) {
  Mutator* mutator = RequireMutator(m, "loam_alloc_ambiguous");
  if (count > SIZE_MAX / 2 / sizeof(loam_word)) {
    return TooLarge(mutator, "loam_alloc_ambiguous");
  }
  return AllocateAmbiguous(mutator, count * sizeof(loam_word),
                           AllocationMode::kMayCollect);
}

size_t loam_alloc_many(loam_mutator* m, const loam_type* type, size_t count,
                       void** out) {
  RequireNonNull(out, "loam_alloc_many", "out");
  if (count == 0) return 0;
  // The first may collect; the others take what there is, so that none of those
  // before can be collected. When that runs out, what exists needs a root: a
  // frame that holds them one collection long would need one slot each, so the
  // batch ends there instead, and the caller asks for the rest. All refills may
  // fall to the others, batch after batch.
  CollectIfDue(RequireMutator(m, "loam_alloc_many"));
  out[0] = loam_alloc_slow(m, type);
  if (out[0] == nullptr) return 0;
  size_t done = 1;
  for (;;) {
    done += TakeManyTyped(Unwrap(m), *Unwrap(type), count - done, out + done);
    if (done == count) break;
    out[done] = loam_try_alloc(m, type);
    if (out[done] == nullptr) break;
    done++;
  }
  return done;
}

void* loam_alloc_immortal(loam_mutator* m, const loam_type* type) {
  Mutator* mutator = RequireMutator(m, "loam_alloc_immortal");
  void* object = loam_alloc_slow(m, type);
  if (object == nullptr) return nullptr;
  // No safepoint lies between: the object needs no root yet.
  Runtime* runtime = mutator->runtime;
  if (!runtime->WithFreePages(
          [&] { return runtime->roots()->AddImmortal(Address(object)); })) {
    ErrorMessage message;
    message.Format("loam_alloc_immortal: out of memory for the root's record");
    (void)Report(runtime, Status::kOutOfMemory, message);
    return nullptr;
  }
  return object;
}

void* loam_try_alloc(loam_mutator* m, const loam_type* type) {
  return NewObject(m, type, 0, "loam_try_alloc", AllocationMode::kNeverCollect);
}

void* loam_try_alloc_array(loam_mutator* m, const loam_type* type,
                           size_t count) {
  return NewObject(m, type, count, "loam_try_alloc_array",
                   AllocationMode::kNeverCollect);
}

void* loam_try_alloc_bytes(loam_mutator* m, size_t size) {
  return NewBytes(m, size, "loam_try_alloc_bytes",
                  AllocationMode::kNeverCollect);
}

void* loam_try_alloc_slots(loam_mutator* m, size_t count) {
  return NewSlots(m, count, "loam_try_alloc_slots",
                  AllocationMode::kNeverCollect);
}

void* loam_resize_bytes(loam_mutator* m, void* buffer, size_t old_size,
                        size_t new_size) {
  Mutator* mutator = RequireMutator(m, "loam_resize_bytes");
  if (buffer != nullptr && ResizeInPlace(mutator, buffer, old_size, new_size)) {
    return buffer;
  }
  void* resized = AllocateBytes(mutator, new_size, AllocationMode::kMayCollect);
  if (resized != nullptr && buffer != nullptr) {
    memcpy(resized, buffer, old_size < new_size ? old_size : new_size);
  }
  return resized;
}

}  // extern "C"
