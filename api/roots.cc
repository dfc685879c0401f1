// Roots, providers (weak ones too), frames, handles, globals, unwinding,
// fibers.

#include "api/internal.h"

namespace loam {
namespace {

static_assert(sizeof(Frame) == sizeof(loam_frame));
static_assert(offsetof(Frame, stack) == offsetof(loam_frame, stack));
static_assert(offsetof(Frame, previous) == offsetof(loam_frame, previous));
static_assert(offsetof(Frame, map) == offsetof(loam_frame, map));
static_assert(sizeof(FrameMap) == sizeof(loam_frame_map));
static_assert(offsetof(FrameMap, kinds) == offsetof(loam_frame_map, kinds));
static_assert(sizeof(HandleSlot) == sizeof(loam_handle_slot));
static_assert(offsetof(RootStack, frames) == offsetof(loam_root_stack, frames));
static_assert(offsetof(RootStack, next_handle) ==
              offsetof(loam_root_stack, next_handle));
static_assert(offsetof(RootStack, handle_limit) ==
              offsetof(loam_root_stack, handle_limit));

bool IsGlobalKind(loam_word_kind kind) {
  return kind == LOAM_VALUE || kind == LOAM_POINTER ||
         kind == LOAM_WEAK_VALUE || kind == LOAM_WEAK_POINTER;
}

loam_status OutOfMemory(Runtime* runtime, const char* call) {
  ErrorMessage message;
  message.Format("%s: out of memory", call);
  return Report(runtime, Status::kOutOfMemory, message);
}

loam_status AddRange(loam_heap* heap, void* slots, size_t count,
                     loam_word_kind kind, const char* name, loam_root** root,
                     const char* call) {
  if (heap == nullptr || slots == nullptr || root == nullptr) {
    return InvalidArgument(
        Unwrap(heap), call,
        heap == nullptr ? "heap" : (slots == nullptr ? "slot" : "root"),
        "is NULL");
  }
  Runtime* runtime = Unwrap(heap);
  if (Address(slots) % sizeof(loam_word) != 0) {
    return InvalidArgument(runtime, call, "slot", "is not a multiple of 8");
  }
  if (!IsGlobalKind(kind) && kind != LOAM_AMBIGUOUS) {
    return InvalidArgument(runtime, call, "kind",
                           "must be LOAM_VALUE, LOAM_POINTER, one of the weak "
                           "kinds, or LOAM_AMBIGUOUS");
  }
  if (runtime->page_heap()->FindSpan(Address(slots)) != nullptr) {
    return InvalidArgument(runtime, call, "slot",
                           "lies in the heap itself; roots lie outside");
  }
  RootRecord* record = runtime->WithFreePages([&] {
    return runtime->roots()->AddWords(static_cast<uintptr_t*>(slots), count,
                                      static_cast<WordKind>(kind), name);
  });
  if (record == nullptr) return OutOfMemory(runtime, call);
  *root = Wrap(record);
  return LOAM_OK;
}

loam_status AddProvider(Runtime* runtime, loam_root_provider_fn fn, void* data,
                        const char* name, RootRecord** list, loam_root** root,
                        const char* call) {
  if (fn == nullptr || root == nullptr) {
    return InvalidArgument(runtime, call, fn == nullptr ? "fn" : "root",
                           "is NULL");
  }
  RootRecord* record = runtime->WithFreePages(
      [&] { return runtime->roots()->AddProvider(fn, data, name, list); });
  if (record == nullptr) return OutOfMemory(runtime, call);
  *root = Wrap(record);
  return LOAM_OK;
}

// The heap of a root, a global or a fiber; NULL if it is gone already.
template <typename Record>
Runtime* RuntimeOf(const Record* record) {
  return record == nullptr || record->set == nullptr
             ? nullptr
             : static_cast<Runtime*>(record->set->owner());
}

RootStack* CurrentStack(loam_mutator* m) { return Unwrap(m)->root_stack; }

loam_handle NewHandle(loam_mutator* m, loam_word word, loam_word_kind kind,
                      const char* call) {
  Runtime* runtime = RequireMutator(m, call)->runtime;
  HandleSlot* handle = runtime->WithFreePages(
      [&] { return CurrentStack(m)->NewHandle(runtime->roots(), word, kind); });
  if (handle == nullptr) (void)OutOfMemory(runtime, call);
  return reinterpret_cast<loam_handle>(handle);
}

}  // namespace
}  // namespace loam

using namespace loam;  // NOLINT: the functions below are the C API itself.

extern "C" {

loam_status loam_root_add(loam_heap* heap, void* slot, loam_word_kind kind,
                          const char* name, loam_root** root) {
  return AddRange(heap, slot, 1, kind, name, root, "loam_root_add");
}

loam_status loam_root_add_range(loam_heap* heap, void* slots, size_t count,
                                loam_word_kind kind, const char* name,
                                loam_root** root) {
  return AddRange(heap, slots, count, kind, name, root, "loam_root_add_range");
}

loam_status loam_root_remove(loam_root* root) {
  if (root == nullptr || Unwrap(root)->set == nullptr) {
    return InvalidArgument(nullptr, "loam_root_remove", "root",
                           root == nullptr ? "is NULL" : "is removed already");
  }
  Unwrap(root)->set->Remove(Unwrap(root));
  return LOAM_OK;
}

loam_status loam_root_provider_add(loam_heap* heap, loam_root_provider_fn fn,
                                   void* data, const char* name,
                                   loam_root** root) {
  if (heap == nullptr) {
    return InvalidArgument(nullptr, "loam_root_provider_add", "heap",
                           "is NULL");
  }
  return AddProvider(Unwrap(heap), fn, data, name, nullptr, root,
                     "loam_root_provider_add");
}

loam_status loam_mutator_root_provider_add(loam_mutator* m,
                                           loam_root_provider_fn fn, void* data,
                                           const char* name, loam_root** root) {
  Mutator* mutator = RequireMutator(m, "loam_mutator_root_provider_add");
  return AddProvider(mutator->runtime, fn, data, name,
                     &mutator->roots.providers, root,
                     "loam_mutator_root_provider_add");
}

loam_status loam_fiber_root_provider_add(loam_fiber* fiber,
                                         loam_root_provider_fn fn, void* data,
                                         const char* name, loam_root** root) {
  constexpr char kCall[] = "loam_fiber_root_provider_add";
  Runtime* runtime = RuntimeOf(Unwrap(fiber));
  if (runtime == nullptr) {
    return InvalidArgument(
        nullptr, kCall, "fiber",
        fiber == nullptr ? "is NULL" : "is destroyed already");
  }
  return AddProvider(runtime, fn, data, name, &Unwrap(fiber)->providers, root,
                     kCall);
}

loam_status loam_weak_provider_add(loam_heap* heap, loam_root_provider_fn fn,
                                   void* data, const char* name,
                                   loam_root** root) {
  constexpr char kCall[] = "loam_weak_provider_add";
  if (heap == nullptr) {
    return InvalidArgument(nullptr, kCall, "heap", "is NULL");
  }
  Runtime* runtime = Unwrap(heap);
  return AddProvider(runtime, fn, data, name,
                     runtime->roots()->weak_providers(), root, kCall);
}

// ---- Visiting

void loam_visit_value(loam_visitor* visitor, loam_word word) {
  visitor->VisitValue(word);
}
void loam_visit_pointer(loam_visitor* visitor, const void* target) {
  visitor->VisitPointer(Address(target));
}
void loam_visit_value_range(loam_visitor* visitor, const void* words,
                            size_t count) {
  const auto* w = static_cast<const loam_word*>(words);
  for (size_t i = 0; i < count; i++) visitor->VisitValue(w[i]);
}
void loam_visit_pointer_range(loam_visitor* visitor, const void* words,
                              size_t count) {
  const auto* w = static_cast<const loam_word*>(words);
  for (size_t i = 0; i < count; i++) visitor->VisitPointer(w[i]);
}
void loam_visit_ambiguous_range(loam_visitor* visitor, const void* words,
                                size_t count) {
  const auto* w = static_cast<const loam_word*>(words);
  for (size_t i = 0; i < count; i++) visitor->VisitAmbiguous(w[i]);
}
void loam_visit_name(loam_visitor* visitor, const char* name) {
  visitor->EnterPart(name != nullptr ? name : "");
}

// ---- Handles and globals

void loam_handle_scope_open(loam_mutator* m, loam_handle_scope* scope) {
  RequireMutator(m, "loam_handle_scope_open");
  RootStack* stack = CurrentStack(m);
  const HandlePosition position = stack->handle_position();
  scope->stack = reinterpret_cast<loam_root_stack*>(stack);
  scope->next_handle = reinterpret_cast<loam_handle_slot*>(position.next);
  scope->block = position.block;
}

void loam_handle_scope_close(loam_handle_scope* scope) {
  RequireNonNull(scope, "loam_handle_scope_close", "scope");
  reinterpret_cast<RootStack*>(scope->stack)
      ->RestoreHandles({reinterpret_cast<HandleSlot*>(scope->next_handle),
                        static_cast<HandleBlock*>(scope->block)});
}

loam_handle loam_handle_value(loam_mutator* m, loam_word word) {
  return NewHandle(m, word, LOAM_VALUE, "loam_handle_value");
}

loam_handle loam_handle_pointer(loam_mutator* m, const void* target) {
  return NewHandle(m, Address(target), LOAM_POINTER, "loam_handle_pointer");
}

loam_status loam_global_create(loam_heap* heap, loam_word_kind kind,
                               loam_word word, loam_global** global) {
  constexpr char kCall[] = "loam_global_create";
  if (heap == nullptr || global == nullptr) {
    return InvalidArgument(Unwrap(heap), kCall,
                           heap == nullptr ? "heap" : "global", "is NULL");
  }
  Runtime* runtime = Unwrap(heap);
  if (!IsGlobalKind(kind)) {
    return InvalidArgument(
        runtime, kCall, "kind",
        "must be LOAM_VALUE, LOAM_POINTER or one of the weak kinds");
  }
  GlobalRecord* record = runtime->WithFreePages([&] {
    return runtime->roots()->AddGlobal(static_cast<WordKind>(kind), word);
  });
  if (record == nullptr) return OutOfMemory(runtime, kCall);
  *global = Wrap(record);
  return LOAM_OK;
}

void loam_global_set(loam_mutator* m, loam_global* global, loam_word word) {
  RequireMutator(m, "loam_global_set");
  RequireNonNull(global, "loam_global_set", "global");
  Unwrap(global)->word.store(word, std::memory_order_release);
}

loam_word loam_global_get(const loam_global* global) {
  RequireNonNull(global, "loam_global_get", "global");
  return Unwrap(global)->word.load(std::memory_order_acquire);
}

loam_status loam_global_destroy(loam_global* global) {
  if (global == nullptr || Unwrap(global)->set == nullptr) {
    return InvalidArgument(
        nullptr, "loam_global_destroy", "global",
        global == nullptr ? "is NULL" : "is destroyed already");
  }
  Unwrap(global)->set->RemoveGlobal(Unwrap(global));
  return LOAM_OK;
}

// ---- Unwinding

void loam_unwind_save(loam_mutator* m, loam_unwind_point* point) {
  RequireNonNull(m, "loam_unwind_save", "m");
  RequireNonNull(point, "loam_unwind_save", "point");
  const Mutator* mutator = Unwrap(m);
  const HandlePosition position = mutator->root_stack->handle_position();
  point->stack = reinterpret_cast<loam_root_stack*>(mutator->root_stack);
  point->frames = reinterpret_cast<loam_frame*>(mutator->root_stack->frames);
  point->next_handle = reinterpret_cast<loam_handle_slot*>(position.next);
  point->handle_block = position.block;
  point->native_depth = mutator->safepoint.native_depth;
  point->gc_disabled_depth = mutator->gc_disabled_depth;
}

void loam_unwind_to(loam_mutator* m, const loam_unwind_point* point) {
  RequireNonNull(m, "loam_unwind_to", "m");
  RequireNonNull(point, "loam_unwind_to", "point");
  Mutator* mutator = Unwrap(m);
  Runtime* runtime = mutator->runtime;
  auto* stack = reinterpret_cast<RootStack*>(point->stack);
  if (mutator->root_stack != stack) {
    const ScopedFatalContext context(runtime->fatal_context());
    FatalMisuse(
        "loam_unwind_to: point: was saved on another fiber than the current "
        "one; switch back first");
  }
  ResetFatalContext();
  // In native state a collector may be reading the frames: run first.
  while (mutator->safepoint.native_depth > point->native_depth) {
    ErrorMessage message;
    if (runtime->LeaveNative(mutator, &message) != Status::kOk) {
      FatalMisuse("loam_unwind_to: %s", message.text);
    }
  }
  stack->frames = reinterpret_cast<Frame*>(point->frames);
  stack->RestoreHandles({reinterpret_cast<HandleSlot*>(point->next_handle),
                         static_cast<HandleBlock*>(point->handle_block)});
  while (mutator->gc_disabled_depth > point->gc_disabled_depth) {
    mutator->gc_disabled_depth--;
    runtime->cycle()->Enable();
  }
  while (mutator->safepoint.native_depth < point->native_depth) {
    runtime->EnterNative(mutator);
  }
}

// ---- Fibers

loam_status loam_fiber_create(loam_heap* heap, void* owner,
                              loam_fiber** fiber) {
  constexpr char kCall[] = "loam_fiber_create";
  if (heap == nullptr || fiber == nullptr) {
    return InvalidArgument(Unwrap(heap), kCall,
                           heap == nullptr ? "heap" : "fiber", "is NULL");
  }
  Runtime* runtime = Unwrap(heap);
  Span* span;
  uintptr_t cell;
  if (owner != nullptr && !runtime->FindObject(Address(owner), &span, &cell)) {
    return InvalidArgument(runtime, kCall, "owner",
                           "is no object of this heap");
  }
  Fiber* created = runtime->WithFreePages(
      [&] { return runtime->roots()->AddFiber(Address(owner)); });
  if (created == nullptr) return OutOfMemory(runtime, kCall);
  *fiber = Wrap(created);
  return LOAM_OK;
}

loam_status loam_fiber_destroy(loam_fiber* fiber) {
  constexpr char kCall[] = "loam_fiber_destroy";
  if (fiber == nullptr || Unwrap(fiber)->set == nullptr) {
    return InvalidArgument(
        nullptr, kCall, "fiber",
        fiber == nullptr ? "is NULL" : "is destroyed already");
  }
  Fiber* f = Unwrap(fiber);
  if (f->current_on.load(std::memory_order_acquire) != nullptr) {
    return WrongState(RuntimeOf(f), kCall, "fiber", "is current on a mutator");
  }
  f->set->RemoveFiber(f);
  return LOAM_OK;
}

void loam_fiber_switch(loam_mutator* m, loam_fiber* fiber) {
  Mutator* mutator = RequireMutator(m, "loam_fiber_switch");
  const ScopedFatalContext context(mutator->runtime->fatal_context());
  Fiber* next = Unwrap(fiber);
  Fiber* previous = mutator->roots.current_fiber;
  if (next == previous) return;
  if (next != nullptr) {
    if (next->set != mutator->runtime->roots()) {
      FatalMisuse("loam_fiber_switch: fiber: is destroyed, or another heap's");
    }
    MutatorRoots* nobody = nullptr;
    if (!next->current_on.compare_exchange_strong(nobody, &mutator->roots,
                                                  std::memory_order_acquire,
                                                  std::memory_order_relaxed)) {
      FatalMisuse("loam_fiber_switch: fiber: is current on another mutator");
    }
  }
  mutator->roots.current_fiber = next;
  mutator->root_stack =
      next != nullptr ? &next->stack : &mutator->roots.own_stack;
  if (previous != nullptr) {
    previous->current_on.store(nullptr, std::memory_order_release);
  }
}

loam_fiber* loam_fiber_current(loam_mutator* m) {
  RequireNonNull(m, "loam_fiber_current", "m");
  return Wrap(Unwrap(m)->roots.current_fiber);
}

}  // extern "C"
