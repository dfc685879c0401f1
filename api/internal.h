// What the files of the C API share: the way between handles and the classes
// behind them, and the reporting of misuse.

#ifndef LOAM_API_INTERNAL_H_
#define LOAM_API_INTERNAL_H_

#define LOAM_NO_INLINE  // Here the plain names are the functions.
#include "api/loam.h"
#include "runtime/base/status.h"
#include "runtime/checking.h"
#include "runtime/gc/root_set.h"
#include "runtime/runtime.h"
#include "runtime/thread_pool.h"

namespace loam {

inline Runtime* Unwrap(loam_heap* heap) {
  return reinterpret_cast<Runtime*>(heap);
}
inline loam_heap* Wrap(Runtime* runtime) {
  return reinterpret_cast<loam_heap*>(runtime);
}
inline Mutator* Unwrap(loam_mutator* m) {
  return reinterpret_cast<Mutator*>(m);
}
inline const Mutator* Unwrap(const loam_mutator* m) {
  return reinterpret_cast<const Mutator*>(m);
}
inline loam_mutator* Wrap(Mutator* m) {
  return reinterpret_cast<loam_mutator*>(m);
}
inline const Type* Unwrap(const loam_type* type) {
  return reinterpret_cast<const Type*>(type);
}
inline const loam_type* Wrap(const Type* type) {
  return reinterpret_cast<const loam_type*>(type);
}
inline TypeSet* Unwrap(loam_type_set* set) {
  return reinterpret_cast<TypeSet*>(set);
}
inline loam_type_set* Wrap(TypeSet* set) {
  return reinterpret_cast<loam_type_set*>(set);
}
inline RootRecord* Unwrap(loam_root* root) {
  return reinterpret_cast<RootRecord*>(root);
}
inline loam_root* Wrap(RootRecord* root) {
  return reinterpret_cast<loam_root*>(root);
}
inline Fiber* Unwrap(loam_fiber* fiber) {
  return reinterpret_cast<Fiber*>(fiber);
}
inline loam_fiber* Wrap(Fiber* fiber) {
  return reinterpret_cast<loam_fiber*>(fiber);
}
inline GlobalRecord* Unwrap(loam_global* global) {
  return reinterpret_cast<GlobalRecord*>(global);
}
inline const GlobalRecord* Unwrap(const loam_global* global) {
  return reinterpret_cast<const GlobalRecord*>(global);
}
inline loam_global* Wrap(GlobalRecord* global) {
  return reinterpret_cast<loam_global*>(global);
}

inline WeakHandle* Unwrap(loam_weak_handle* handle) {
  return reinterpret_cast<WeakHandle*>(handle);
}
inline const WeakHandle* Unwrap(const loam_weak_handle* handle) {
  return reinterpret_cast<const WeakHandle*>(handle);
}
inline WeakHandle* Unwrap(loam_watch* watch) {
  return reinterpret_cast<WeakHandle*>(watch);
}
inline const WeakHandle* Unwrap(const loam_watch* watch) {
  return reinterpret_cast<const WeakHandle*>(watch);
}
inline const EmbedderKind* Unwrap(const loam_special_kind* kind) {
  return reinterpret_cast<const EmbedderKind*>(kind);
}

inline uintptr_t Address(const void* p) {
  return reinterpret_cast<uintptr_t>(p);
}

// The pool that a platform posts to, or NULL.
ThreadPool* ThreadPoolOf(const loam_platform& platform);

// Remembers a failure for loam_last_error and, if `runtime` is not NULL, for
// loam_heap_last_error; returns the status.
loam_status Report(Runtime* runtime, Status status,
                   const ErrorMessage& message);

// The same, of a problem that does not name the call: "CALL: PROBLEM".
loam_status ReportProblem(Runtime* runtime, const char* call, Status status,
                          const ErrorMessage& problem);

// "CALL: ARGUMENT: PROBLEM", as LOAM_INVALID_ARGUMENT.
loam_status InvalidArgument(Runtime* runtime, const char* call,
                            const char* argument, const char* problem);
loam_status WrongState(Runtime* runtime, const char* call, const char* argument,
                       const char* problem);
loam_status NotSupported(Runtime* runtime, const char* call);

// For calls that cannot return a status: fatal if `argument` is NULL, which
// would crash less clearly a moment later.
void RequireNonNull(const void* argument, const char* call, const char* name);
[[noreturn]] void FailNullMutator(const char* call);
// `m` is not NULL and, in checking mode, used by its thread, in running state.
inline Mutator* RequireMutator(loam_mutator* m, const char* call) {
  if (m == nullptr) FailNullMutator(call);
  CheckThread(Unwrap(m), call);
  return Unwrap(m);
}

}  // namespace loam

#endif  // LOAM_API_INTERNAL_H_
