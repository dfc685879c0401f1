// Pinning objects.

#include "runtime/runtime.h"

namespace loam {

Status Runtime::Pin(Mutator* /*m*/, void* object, ErrorMessage* message) {
  const ScopedFatalContext context(&fatal_context_);
  Span* span;
  uintptr_t cell;
  if (!FindObject(reinterpret_cast<uintptr_t>(object), &span, &cell)) {
    message->Format("loam_pin: object: no object lives at %p", object);
    return Status::kInvalidArgument;
  }
  sweeper_.EnsureSwept(span);
  Status status = specials_.Pin(span, cell);
  if (status == Status::kOutOfMemory && ReleaseMemory() > 0) {
    status = specials_.Pin(span, cell);
  }
  if (status == Status::kOutOfMemory) {
    message->Format("loam_pin: no memory for the pin's record");
  }
  return status;
}

Status Runtime::Unpin(Mutator* /*m*/, void* object, ErrorMessage* message) {
  const ScopedFatalContext context(&fatal_context_);
  Span* span;
  uintptr_t cell;
  if (!FindObject(reinterpret_cast<uintptr_t>(object), &span, &cell)) {
    message->Format("loam_unpin: object: no object lives at %p", object);
    return Status::kInvalidArgument;
  }
  sweeper_.EnsureSwept(span);
  const Status status = specials_.Unpin(span, cell);
  if (status == Status::kNotFound) {
    message->Format("loam_unpin: object: %p is not pinned", object);
  }
  return status;
}

}  // namespace loam
