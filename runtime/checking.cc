#include "runtime/checking.h"

#include <cinttypes>
#include <cstdio>

#include "runtime/base/clock.h"
#include "runtime/base/embedder_call.h"
#include "runtime/base/fatal.h"
#include "runtime/heap/object_slots.h"
#include "runtime/heap/os_memory.h"
#include "runtime/runtime.h"

namespace loam {
namespace {

// Address space for fresh objects: millions in one loam_alloc_many.
constexpr size_t kFreshListBytes = 64 << 20;

// xorshift64* (S. Vigna, "An experimental exploration of Marsaglia's xorshift
// generators, scrambled", 2016): a uniform double in [0, 1).
double NextRandom(uint64_t* state) {
  *state ^= *state >> 12;
  *state ^= *state << 25;
  *state ^= *state >> 27;
  return static_cast<double>((*state * 0x2545f4914f6cdd1dULL) >> 11) * 0x1p-53;
}

}  // namespace

void StartStress(Mutator* m) {
  const CheckOptions& check = m->runtime->options().check;
  m->allocations_until_stress = check.stress_interval;
  if (check.stress_probability <= 0) return;
  uint64_t seed = check.stress_seed;
  if (seed == 0) {
    seed = NowNanoseconds() | 1;
    char line[128];
    snprintf(line, sizeof(line),
             "mutator '%s' collects at random: LOAM_STRESS_SEED=%" PRIu64,
             m->name, seed);
    m->runtime->Log(line);
  }
  m->random_state = seed;
}

bool StressWantsCollection(Mutator* m) {
  const CheckOptions& check = m->runtime->options().check;
  if (check.stress_interval != 0 && --m->allocations_until_stress == 0) {
    m->allocations_until_stress = check.stress_interval;
    return true;
  }
  return check.stress_probability > 0 &&
         NextRandom(&m->random_state) < check.stress_probability;
}

bool StartCheckingStores(Mutator* m) {
  if (!m->runtime->options().check.check_stores) return true;
  m->fresh_objects =
      reinterpret_cast<uintptr_t*>(os::Allocate(kFreshListBytes));
  return m->fresh_objects != nullptr;
}

void EndCheckingStores(Mutator* m) {
  if (m->fresh_objects == nullptr) return;
  os::Release(reinterpret_cast<uintptr_t>(m->fresh_objects), kFreshListBytes);
  m->fresh_objects = nullptr;
}

void AddFreshObject(Mutator* m, void* object) {
  const auto address = reinterpret_cast<uintptr_t>(object);
  const Span* span = m->runtime->page_heap()->FindSpan(address);
  m->runtime->store_shadow().BeginFresh(address, span->object_bytes(),
                                        StoreShadow::FreshTag(m));
  if (m->fresh_count < kFreshListBytes / sizeof(uintptr_t)) {
    m->fresh_objects[m->fresh_count++] = address;
  }
}

void EndFreshObjects(Mutator* m) {
  if (m->fresh_objects == nullptr) return;
  const StoreShadow& shadow = m->runtime->store_shadow();
  while (m->fresh_count > 0) {
    const uintptr_t object = m->fresh_objects[--m->fresh_count];
    const Span* span = m->runtime->page_heap()->FindSpan(object);
    if (span == nullptr) continue;
    shadow.EndFresh(object, span->object_bytes(), StoreShadow::FreshTag(m));
  }
}

void RecordStore(Mutator* m, const void* slot, uintptr_t word) {
  m->runtime->store_shadow().Record(reinterpret_cast<uintptr_t>(slot), word,
                                    StoreShadow::FreshTag(m));
}

void CheckStoreTarget(Mutator* m, const char* call, const void* object,
                      const void* slot, uintptr_t word, DataWords data_words) {
  Runtime* runtime = m->runtime;
  const ScopedFatalContext context(runtime->fatal_context());
  CheckThread(m, call);
  if (object == nullptr || slot == nullptr) {
    FatalMisuse("%s: %s is NULL", call, object == nullptr ? "object" : "slot");
  }
  if (!runtime->options().check.check_stores) return;
  const auto address = reinterpret_cast<uintptr_t>(slot);
  if (address % kWordBytes != 0) {
    FatalMisuse("%s: slot: %p is not a multiple of 8", call, slot);
  }
  Span* span;
  uintptr_t cell;
  if (!runtime->FindObject(reinterpret_cast<uintptr_t>(object), &span, &cell)) {
    PageHeap* page_heap = runtime->page_heap();
    const auto base = reinterpret_cast<uintptr_t>(object);
    if (page_heap->arena_map().Find(base) != nullptr &&
        !page_heap->IsManual(base)) {
      FatalMisuse("%s: object: no object lives at %p", call, object);
    }
    return;  // Static data or manual pages, registered as a root.
  }
  if (address < cell || address >= cell + span->object_bytes()) {
    const Type* type = span->TypeOf(cell);
    FatalMisuse(
        "%s: slot: %p lies outside the object at %p (%s, %zu bytes); or the "
        "object was not rooted, and this is another in its memory",
        call, slot, object, type != nullptr ? type->name : "untyped",
        span->object_bytes());
  }
  if (span->scan == ScanKind::kNoscan) {
    if (data_words == DataWords::kAccepted) return;
    const Type* type = span->TypeOf(cell);
    FatalMisuse("%s: slot: the object at %p (%s) has no slots", call, object,
                type != nullptr ? type->name : "bytes");
  }
  const WordKind kind = SlotKindAt(*span, cell, address);
  if (kind == WordKind::kData) {
    if (data_words == DataWords::kAccepted) return;
    const Type* type = span->TypeOf(cell);
    FatalMisuse(
        "%s: slot: offset %zu of the object at %p (%s) is data, which the "
        "collector does not look at",
        call, address - cell, object, type != nullptr ? type->name : "untyped");
  }
  uintptr_t target = kind == WordKind::kPointer ? word : 0;
  if (kind == WordKind::kValue) {
    EmbedderCall("the decode callback", [&] {
      target = DecodeValue(runtime->options().encoding, word);
    });
  }
  const Span* target_span = runtime->page_heap()->FindSpan(target);
  if (target_span == nullptr) return;
  const size_t index = target_span->CellIndex(target);
  if (index >= target_span->cell_count || !target_span->IsAllocated(index)) {
    FatalMisuse(
        "%s: word: %#zx refers to a free cell: the object was unreachable at "
        "an "
        "earlier collection, so it was not rooted then",
        call, word);
  }
}

void RecordExchange(Mutator* m, const void* slot) {
  m->runtime->store_shadow().RecordPresent(reinterpret_cast<uintptr_t>(slot),
                                           StoreShadow::FreshTag(m));
}

void CheckThreadNow(const Mutator* m, const char* call) {
  const CheckOptions& check = m->runtime->options().check;
  if (!check.check_threads) return;
  const ScopedFatalContext context(m->runtime->fatal_context());
  if (m->safepoint.thread.load(std::memory_order_relaxed) !=
      ThreadContext::CurrentIfAny()) {
    FatalMisuse(
        "%s: m: mutator '%s' is used by a thread that is not its own; each "
        "thread attaches for itself, or takes over in native state",
        call, m->name);
  }
  if (m->safepoint.native_depth != 0) {
    FatalMisuse("%s: m: mutator '%s' is in native state", call, m->name);
  }
}

}  // namespace loam
