// Mutators, safepoints and stores: the functions behind loam_inline.h, and
// those too large to inline.

#include "api/internal.h"
#include "runtime/base/embedder_call.h"

namespace loam {
namespace {

static_assert(offsetof(Mutator, safepoint_word) ==
              offsetof(loam_mutator_abi, safepoint));
static_assert(offsetof(Mutator, barrier_word) ==
              offsetof(loam_mutator_abi, barrier));
static_assert(offsetof(Mutator, root_stack) ==
              offsetof(loam_mutator_abi, stack));
static_assert(offsetof(Mutator, user_words) ==
              offsetof(loam_mutator_abi, user));

// The barrier of every store that is not inlined.
inline void Barrier(Mutator* m, const char* call, void* object, void* slot,
                    loam_word word) {
  if (m->barrier_word == 0) return;
  CheckStoreTarget(m, call, object, slot, word);
  RecordStore(m, slot, word);
}

// The same for one word of many, which goes by the object's layout.
inline void BulkBarrier(Mutator* m, const char* call, void* object, void* slot,
                        loam_word word) {
  if (m->barrier_word == 0) return;
  CheckStoreTarget(m, call, object, slot, word, DataWords::kAccepted);
  RecordStore(m, slot, word);
}

// NULL would crash less clearly a moment later.
void RequireStoreTarget(Mutator* m, const char* call, const void* object,
                        const void* slot) {
  if (object != nullptr && slot != nullptr) return;
  const ScopedFatalContext context(m->runtime->fatal_context());
  FatalMisuse("%s: %s is NULL", call, object == nullptr ? "object" : "slot");
}

std::atomic_ref<uintptr_t> SlotRef(void* slot) {
  return std::atomic_ref<uintptr_t>(*static_cast<uintptr_t*>(slot));
}

void Store(loam_mutator* m, const char* call, void* object, void* slot,
           loam_word word) {
  Mutator* mutator = RequireMutator(m, call);
  RequireStoreTarget(mutator, call, object, slot);
  Barrier(mutator, call, object, slot, word);
  // Relaxed: publication between threads is the embedder's business.
  SlotRef(slot).store(word, std::memory_order_relaxed);
}

}  // namespace
}  // namespace loam

using namespace loam;  // NOLINT: the functions below are the C API itself.

extern "C" {

// ---- Threads

loam_status loam_mutator_attach(loam_heap* heap, const char* name,
                                loam_mutator** m) {
  if (heap == nullptr || m == nullptr) {
    return InvalidArgument(Unwrap(heap), "loam_mutator_attach",
                           heap == nullptr ? "heap" : "m", "is NULL");
  }
  ErrorMessage message;
  Mutator* mutator = nullptr;
  const Status status = Unwrap(heap)->Attach(name, &mutator, &message);
  if (status == Status::kOk) *m = Wrap(mutator);
  return Report(Unwrap(heap), status, message);
}

loam_status loam_mutator_detach(loam_mutator* m) {
  if (m == nullptr) {
    return InvalidArgument(nullptr, "loam_mutator_detach", "m", "is NULL");
  }
  Runtime* runtime = Unwrap(m)->runtime;
  ErrorMessage message;
  if (runtime->Current() != Unwrap(m) && !Unwrap(m)->thread_ended) {
    return WrongState(runtime, "loam_mutator_detach", "m",
                      "belongs to another thread");
  }
  const Status status = runtime->Detach(Unwrap(m), &message);
  return Report(runtime, status, message);
}

loam_mutator* loam_mutator_current(loam_heap* heap) {
  RequireNonNull(heap, "loam_mutator_current", "heap");
  return Wrap(Unwrap(heap)->Current());
}

loam_heap* loam_mutator_heap(const loam_mutator* m) {
  RequireNonNull(m, "loam_mutator_heap", "m");
  return Wrap(Unwrap(m)->runtime);
}

void** loam_mutator_user_word(loam_mutator* m, unsigned index) {
  RequireNonNull(m, "loam_mutator_user_word", "m");
  if (index > 3) FatalMisuse("loam_mutator_user_word: index: %u", index);
  return &Unwrap(m)->user_words[index];
}

void loam_safepoint(loam_mutator* m) {
  Mutator* mutator = RequireMutator(m, "loam_safepoint");
  if (mutator->safepoint_word.load(std::memory_order_relaxed) != 0) {
    loam_safepoint_slow(m);
  }
}

void loam_safepoint_slow(loam_mutator* m) {
  Mutator* mutator = RequireMutator(m, "loam_safepoint");
  mutator->runtime->Safepoint(mutator);
}

void loam_enter_native(loam_mutator* m) {
  RequireNonNull(m, "loam_enter_native", "m");
  Mutator* mutator = Unwrap(m);
  // Of another thread's running mutator this would hide that thread.
  if (mutator->safepoint.native_depth == 0) {
    CheckThread(mutator, "loam_enter_native");
  }
  mutator->runtime->EnterNative(mutator);
}

loam_status loam_leave_native(loam_mutator* m) {
  if (m == nullptr) {
    return InvalidArgument(nullptr, "loam_leave_native", "m", "is NULL");
  }
  ErrorMessage message;
  const Status status = Unwrap(m)->runtime->LeaveNative(Unwrap(m), &message);
  return Report(Unwrap(m)->runtime, status, message);
}

void loam_call_native(loam_mutator* m, void (*fn)(void* data), void* data) {
  RequireNonNull(m, "loam_call_native", "m");
  loam_enter_native(m);
  EmbedderCall("the function of loam_call_native", [&] { fn(data); });
  ErrorMessage message;
  if (Unwrap(m)->runtime->LeaveNative(Unwrap(m), &message) == Status::kOk) {
    return;
  }
  // There is no way to tell the caller, and `m` cannot run.
  const ScopedFatalContext context(Unwrap(m)->runtime->fatal_context());
  FatalMisuse("loam_call_native: fn: after it, %s", message.text);
}

loam_status loam_stop_the_world(loam_mutator* m) {
  Mutator* mutator = RequireMutator(m, "loam_stop_the_world");
  mutator->runtime->StopTheWorld(mutator);
  return LOAM_OK;
}

loam_status loam_start_the_world(loam_mutator* m) {
  Mutator* mutator = RequireMutator(m, "loam_start_the_world");
  if (mutator->world_stops == 0) {
    return WrongState(mutator->runtime, "loam_start_the_world", "m",
                      "this mutator has not stopped the world");
  }
  mutator->runtime->StartTheWorld(mutator);
  return LOAM_OK;
}

// ---- Storing

// What loam_store_slow calls, its registers saved (store_slow.S).
__attribute__((visibility("hidden"))) void loam_store_barrier(loam_mutator* m,
                                                              void* object,
                                                              void* slot,
                                                              loam_word word) {
  Barrier(RequireMutator(m, "loam_store_*"), "loam_store_*", object, slot,
          word);
}

#if !defined(__x86_64__) && !defined(__aarch64__)
void loam_store_slow(loam_mutator* m, void* object, void* slot,
                     loam_word word) {
  loam_store_barrier(m, object, slot, word);
}
#endif

void loam_store_value(loam_mutator* m, void* object, void* slot,
                      loam_word word) {
  Store(m, "loam_store_value", object, slot, word);
}

void loam_store_pointer(loam_mutator* m, void* object, void* slot,
                        const void* target) {
  Store(m, "loam_store_pointer", object, slot, Address(target));
}

void loam_store_weak(loam_mutator* m, void* object, void* slot,
                     loam_word word) {
  Store(m, "loam_store_weak", object, slot, word);
}

// Words are cleared while the world is stopped, so there is nothing to wait
// for.
loam_word loam_load_weak(loam_mutator* m, void* object, void* slot) {
  Mutator* mutator = RequireMutator(m, "loam_load_weak");
  RequireStoreTarget(mutator, "loam_load_weak", object, slot);
  return SlotRef(slot).load(std::memory_order_relaxed);
}

void loam_store_value_init(loam_mutator* m, void* object, void* slot,
                           loam_word word) {
  Mutator* mutator = RequireMutator(m, "loam_store_value_init");
  RequireStoreTarget(mutator, "loam_store_value_init", object, slot);
  SlotRef(slot).store(word, std::memory_order_relaxed);
}

void loam_store_pointer_init(loam_mutator* m, void* object, void* slot,
                             const void* target) {
  loam_store_value_init(m, object, slot, Address(target));
}

loam_word loam_exchange_value(loam_mutator* m, void* object, void* slot,
                              loam_word word) {
  Mutator* mutator = RequireMutator(m, "loam_exchange_value");
  constexpr char kCall[] = "loam_exchange_value";
  RequireStoreTarget(mutator, kCall, object, slot);
  const bool checking = mutator->barrier_word != 0;
  if (checking) CheckStoreTarget(mutator, kCall, object, slot, word);
  const loam_word before =
      SlotRef(slot).exchange(word, std::memory_order_seq_cst);
  if (checking) RecordExchange(mutator, slot);
  return before;
}

void* loam_exchange_pointer(loam_mutator* m, void* object, void* slot,
                            const void* target) {
  return reinterpret_cast<void*>(
      loam_exchange_value(m, object, slot, Address(target)));
}

int loam_compare_exchange_value(loam_mutator* m, void* object, void* slot,
                                loam_word* expected, loam_word word) {
  Mutator* mutator = RequireMutator(m, "loam_compare_exchange_value");
  constexpr char kCall[] = "loam_compare_exchange_value";
  RequireStoreTarget(mutator, kCall, object, slot);
  RequireNonNull(expected, kCall, "expected");
  const bool checking = mutator->barrier_word != 0;
  if (checking) CheckStoreTarget(mutator, kCall, object, slot, word);
  const bool stored = SlotRef(slot).compare_exchange_strong(
      *expected, word, std::memory_order_seq_cst);
  if (stored && checking) RecordExchange(mutator, slot);
  return stored ? 1 : 0;
}

int loam_compare_exchange_pointer(loam_mutator* m, void* object, void* slot,
                                  void** expected, const void* target) {
  RequireNonNull(expected, "loam_compare_exchange_pointer", "expected");
  loam_word word = Address(*expected);
  const int stored =
      loam_compare_exchange_value(m, object, slot, &word, Address(target));
  *expected = reinterpret_cast<void*>(word);
  return stored;
}

void loam_copy_slots(loam_mutator* m, void* object, void* destination,
                     const void* source, size_t count) {
  Mutator* mutator = RequireMutator(m, "loam_copy_slots");
  if (count == 0) return;
  RequireStoreTarget(mutator, "loam_copy_slots", object, destination);
  RequireNonNull(source, "loam_copy_slots", "source");
  auto* to = static_cast<uintptr_t*>(destination);
  auto* from = static_cast<uintptr_t*>(const_cast<void*>(source));
  const auto copy = [&](size_t i) {
    const uintptr_t word = SlotRef(&from[i]).load(std::memory_order_relaxed);
    BulkBarrier(mutator, "loam_copy_slots", object, &to[i], word);
    SlotRef(&to[i]).store(word, std::memory_order_relaxed);
  };
  if (to <= from) {
    for (size_t i = 0; i < count; i++) copy(i);
  } else {
    for (size_t i = count; i-- > 0;) copy(i);
  }
}

void loam_clear_slots(loam_mutator* m, void* object, void* slots,
                      size_t count) {
  Mutator* mutator = RequireMutator(m, "loam_clear_slots");
  if (count == 0) return;
  RequireStoreTarget(mutator, "loam_clear_slots", object, slots);
  auto* words = static_cast<uintptr_t*>(slots);
  for (size_t i = 0; i < count; i++) {
    BulkBarrier(mutator, "loam_clear_slots", object, &words[i], 0);
    SlotRef(&words[i]).store(0, std::memory_order_relaxed);
  }
}

void loam_root_store_value(loam_mutator* m, void* slot, loam_word word) {
  RequireMutator(m, "loam_root_store_value");
  RequireNonNull(slot, "loam_root_store_value", "slot");
  SlotRef(slot).store(word, std::memory_order_release);
}

void loam_root_store_pointer(loam_mutator* m, void* slot, const void* target) {
  loam_root_store_value(m, slot, Address(target));
}

}  // extern "C"
