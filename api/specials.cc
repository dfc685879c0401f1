// Finalizers, cleanups, pins, weak handles, watches, words of the embedder's.

#include "api/internal.h"

namespace loam {
namespace {

loam_status NullArgument(Runtime* runtime, const char* call,
                         const char* argument) {
  return InvalidArgument(runtime, call, argument, "is NULL");
}

// Whether a handle or watch of this heap can be given back; says if not.
template <typename Handle>
bool IsOurs(const Mutator* m, const Handle* handle, const char* call,
            const char* argument, loam_status* status) {
  const char* problem = nullptr;
  if (handle == nullptr) {
    problem = "is NULL";
  } else if (Unwrap(handle)->owner == nullptr) {
    problem = "is destroyed already";
  } else if (Unwrap(handle)->owner != m->runtime) {
    problem = "belongs to another heap";
  }
  if (problem == nullptr) return true;
  *status = InvalidArgument(m->runtime, call, argument, problem);
  return false;
}

void RequireOurs(const Mutator* m, const WeakHandle* handle, const char* call,
                 const char* argument) {
  RequireNonNull(handle, call, argument);
  if (handle->owner == m->runtime) return;
  const ScopedFatalContext context(m->runtime->fatal_context());
  FatalMisuse("%s: %s: %s", call, argument,
              handle->owner == nullptr ? "is destroyed already"
                                       : "belongs to another heap");
}

static_assert(static_cast<int>(WatchState::kWaiting) == LOAM_WATCH_WAITING &&
              static_cast<int>(WatchState::kReached) == LOAM_WATCH_REACHED &&
              static_cast<int>(WatchState::kUnreached) == LOAM_WATCH_UNREACHED);

}  // namespace
}  // namespace loam

using namespace loam;  // NOLINT: the functions below are the C API itself.

extern "C" {

// ---- Finalizers

loam_status loam_finalizer_set(loam_mutator* m, void* object,
                               loam_finalizer_fn fn, void* data,
                               loam_finalizer_mode mode) {
  constexpr char kCall[] = "loam_finalizer_set";
  Runtime* runtime = RequireMutator(m, kCall)->runtime;
  if (object == nullptr || fn == nullptr) {
    return NullArgument(runtime, kCall, object == nullptr ? "object" : "fn");
  }
  if (mode != LOAM_FINALIZER_ORDERED && mode != LOAM_FINALIZER_UNORDERED) {
    return InvalidArgument(runtime, kCall, "mode", "does not exist");
  }
  ErrorMessage message;
  const Status status = runtime->SetFinalizer(
      object, {fn, data, mode == LOAM_FINALIZER_UNORDERED}, &message);
  return Report(runtime, status, message);
}

loam_status loam_finalizer_clear(loam_mutator* m, void* object) {
  constexpr char kCall[] = "loam_finalizer_clear";
  Runtime* runtime = RequireMutator(m, kCall)->runtime;
  if (object == nullptr) return NullArgument(runtime, kCall, "object");
  ErrorMessage message;
  const Status status = runtime->ClearFinalizer(object, &message);
  return Report(runtime, status, message);
}

loam_status loam_finalizers_run(loam_mutator* m, size_t max, size_t* ran,
                                size_t* waiting) {
  Mutator* mutator = RequireMutator(m, "loam_finalizers_run");
  const size_t count = mutator->runtime->RunFinalizers(mutator, max);
  if (ran != nullptr) *ran = count;
  if (waiting != nullptr) {
    *waiting = mutator->runtime->specials()->finalizer_queue()->size();
  }
  return LOAM_OK;
}

void loam_finalizers_on_ready(loam_heap* heap, void (*wake)(void* data),
                              void* data) {
  RequireNonNull(heap, "loam_finalizers_on_ready", "heap");
  Unwrap(heap)->specials()->finalizer_queue()->SetWake(wake, data);
}

loam_status loam_finalizers_start_runner(loam_heap* heap) {
  if (heap == nullptr) {
    return NullArgument(nullptr, "loam_finalizers_start_runner", "heap");
  }
  ErrorMessage message;
  const Status status = Unwrap(heap)->StartFinalizerRunner(&message);
  return Report(Unwrap(heap), status, message);
}

loam_status loam_finalizers_stop_runner(loam_heap* heap) {
  if (heap == nullptr) {
    return NullArgument(nullptr, "loam_finalizers_stop_runner", "heap");
  }
  ErrorMessage message;
  const Status status = Unwrap(heap)->StopFinalizerRunner(&message);
  return Report(Unwrap(heap), status, message);
}

// ---- Cleanups

loam_status loam_cleanup_add(loam_mutator* m, void* object, loam_cleanup_fn fn,
                             loam_word value, void* data,
                             loam_cleanup* cleanup) {
  constexpr char kCall[] = "loam_cleanup_add";
  Runtime* runtime = RequireMutator(m, kCall)->runtime;
  if (object == nullptr || fn == nullptr) {
    return NullArgument(runtime, kCall, object == nullptr ? "object" : "fn");
  }
  ErrorMessage message;
  CleanupName name = {};
  const Status status =
      runtime->AddCleanup(object, {fn, data, value}, &name, &message);
  if (status == Status::kOk && cleanup != nullptr) {
    *cleanup = {name.address, name.serial};
  }
  return Report(runtime, status, message);
}

loam_status loam_cleanup_stop(loam_mutator* m, const loam_cleanup* cleanup) {
  constexpr char kCall[] = "loam_cleanup_stop";
  Runtime* runtime = RequireMutator(m, kCall)->runtime;
  if (cleanup == nullptr) return NullArgument(runtime, kCall, "cleanup");
  ErrorMessage message;
  const Status status =
      runtime->StopCleanup({cleanup->address, cleanup->serial}, &message);
  return Report(runtime, status, message);
}

// ---- Pins

loam_status loam_pin(loam_mutator* m, void* object) {
  Runtime* runtime = RequireMutator(m, "loam_pin")->runtime;
  ErrorMessage message;
  const Status status = runtime->Pin(object, &message);
  return Report(runtime, status, message);
}

loam_status loam_unpin(loam_mutator* m, void* object) {
  Runtime* runtime = RequireMutator(m, "loam_unpin")->runtime;
  ErrorMessage message;
  const Status status = runtime->Unpin(object, &message);
  return Report(runtime, status, message);
}

// ---- Weak handles

loam_status loam_weak_handle_create(loam_mutator* m, void* object,
                                    loam_weak_handle_kind kind,
                                    loam_weak_handle** handle) {
  constexpr char kCall[] = "loam_weak_handle_create";
  Runtime* runtime = RequireMutator(m, kCall)->runtime;
  if (handle == nullptr) return NullArgument(runtime, kCall, "handle");
  if (kind != LOAM_WEAK_SHORT && kind != LOAM_WEAK_LONG) {
    return InvalidArgument(runtime, kCall, "kind", "does not exist");
  }
  ErrorMessage message;
  WeakHandle* created = nullptr;
  const Status status = runtime->TakeWeakHandle(object, kind == LOAM_WEAK_LONG,
                                                &created, &message);
  if (status == Status::kOk) {
    *handle = reinterpret_cast<loam_weak_handle*>(created);
  }
  return Report(runtime, status, message);
}

void* loam_weak_handle_get(loam_mutator* m, const loam_weak_handle* handle) {
  constexpr char kCall[] = "loam_weak_handle_get";
  const Mutator* mutator = RequireMutator(m, kCall);
  RequireOurs(mutator, Unwrap(handle), kCall, "handle");
  return reinterpret_cast<void*>(
      mutator->runtime->LoadWeakHandle(*Unwrap(handle)));
}

loam_status loam_weak_handle_destroy(loam_mutator* m,
                                     loam_weak_handle* handle) {
  constexpr char kCall[] = "loam_weak_handle_destroy";
  const Mutator* mutator = RequireMutator(m, kCall);
  loam_status status;
  if (!IsOurs(mutator, handle, kCall, "handle", &status)) return status;
  mutator->runtime->GiveWeakHandle(Unwrap(handle));
  return LOAM_OK;
}

// ---- Watches

loam_status loam_watch_create(loam_mutator* m, void* object,
                              loam_watch** watch) {
  constexpr char kCall[] = "loam_watch_create";
  Runtime* runtime = RequireMutator(m, kCall)->runtime;
  if (watch == nullptr) return NullArgument(runtime, kCall, "watch");
  ErrorMessage message;
  WeakHandle* created = nullptr;
  const Status status = runtime->Watch(object, &created, &message);
  if (status == Status::kOk) *watch = reinterpret_cast<loam_watch*>(created);
  return Report(runtime, status, message);
}

loam_watch_state loam_watch_get(loam_mutator* m, const loam_watch* watch) {
  constexpr char kCall[] = "loam_watch_get";
  const Mutator* mutator = RequireMutator(m, kCall);
  RequireOurs(mutator, Unwrap(watch), kCall, "watch");
  (void)mutator->runtime->LoadWeakHandle(*Unwrap(watch));
  return static_cast<loam_watch_state>(
      Unwrap(watch)->watch_state.load(std::memory_order_relaxed));
}

loam_status loam_watch_destroy(loam_mutator* m, loam_watch* watch) {
  constexpr char kCall[] = "loam_watch_destroy";
  const Mutator* mutator = RequireMutator(m, kCall);
  loam_status status;
  if (!IsOurs(mutator, watch, kCall, "watch", &status)) return status;
  mutator->runtime->GiveWatch(Unwrap(watch));
  return LOAM_OK;
}

// ---- Words of the embedder's

loam_status loam_special_kind_create(loam_heap* heap, loam_special_died_fn died,
                                     void* data, loam_special_kind** kind) {
  constexpr char kCall[] = "loam_special_kind_create";
  if (heap == nullptr || kind == nullptr) {
    return NullArgument(Unwrap(heap), kCall, heap == nullptr ? "heap" : "kind");
  }
  EmbedderKind* created = Unwrap(heap)->NewEmbedderKind(died, data);
  if (created == nullptr) {
    ErrorMessage message;
    message.Format("%s: out of memory", kCall);
    return Report(Unwrap(heap), Status::kOutOfMemory, message);
  }
  *kind = reinterpret_cast<loam_special_kind*>(created);
  return LOAM_OK;
}

loam_status loam_special_set(loam_mutator* m, void* object,
                             loam_special_kind* kind, loam_word word) {
  constexpr char kCall[] = "loam_special_set";
  const Mutator* mutator = RequireMutator(m, kCall);
  loam_status status;
  if (!IsOurs(mutator, kind, kCall, "kind", &status)) return status;
  ErrorMessage message;
  return Report(mutator->runtime,
                mutator->runtime->SetWord(object, Unwrap(kind), word, &message),
                message);
}

loam_status loam_special_get(loam_mutator* m, void* object,
                             const loam_special_kind* kind, loam_word* word) {
  constexpr char kCall[] = "loam_special_get";
  const Mutator* mutator = RequireMutator(m, kCall);
  loam_status status;
  if (!IsOurs(mutator, kind, kCall, "kind", &status)) return status;
  if (word == nullptr) return NullArgument(mutator->runtime, kCall, "word");
  ErrorMessage message;
  const Status result =
      mutator->runtime->GetWord(object, Unwrap(kind), word, &message);
  if (result == Status::kNotFound) return LOAM_NOT_FOUND;
  return Report(mutator->runtime, result, message);
}

loam_status loam_special_remove(loam_mutator* m, void* object,
                                const loam_special_kind* kind,
                                loam_word* word) {
  constexpr char kCall[] = "loam_special_remove";
  const Mutator* mutator = RequireMutator(m, kCall);
  loam_status status;
  if (!IsOurs(mutator, kind, kCall, "kind", &status)) return status;
  ErrorMessage message;
  loam_word removed = 0;
  const Status result =
      mutator->runtime->RemoveWord(object, Unwrap(kind), &removed, &message);
  if (result == Status::kOk && word != nullptr) *word = removed;
  if (result == Status::kNotFound) return LOAM_NOT_FOUND;
  return Report(mutator->runtime, result, message);
}

}  // extern "C"
