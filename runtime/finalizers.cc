// Setting, clearing and running finalizers.

#include "runtime/base/embedder_call.h"
#include "runtime/runtime.h"

namespace loam {

Status Runtime::SetFinalizer(Mutator* /*m*/, void* object,
                             FinalizerCallback function, void* data,
                             ErrorMessage* message) {
  const ScopedFatalContext context(&fatal_context_);
  Span* span;
  uintptr_t cell;
  if (!FindObject(reinterpret_cast<uintptr_t>(object), &span, &cell)) {
    message->Format("loam_finalizer_set: object: no object lives at %p",
                    object);
    return Status::kInvalidArgument;
  }
  // The sweeper of this span may be deciding what its dead objects' finalizers
  // mean: ours must not join them before it is done.
  sweeper_.EnsureSwept(span);
  Status status = specials_.SetFinalizer(span, cell, function, data);
  if (status == Status::kOutOfMemory && ReleaseMemory() > 0) {
    status = specials_.SetFinalizer(span, cell, function, data);
  }
  if (status == Status::kOk) counters_.finalizable_bytes.Add(span->cell_bytes);
  if (status == Status::kWrongState) {
    message->Format("loam_finalizer_set: object: %p has a finalizer already",
                    object);
  } else if (status == Status::kOutOfMemory) {
    message->Format("loam_finalizer_set: no memory for the finalizer's record");
  }
  return status;
}

Status Runtime::ClearFinalizer(Mutator* /*m*/, void* object,
                               ErrorMessage* message) {
  Span* span;
  uintptr_t cell;
  if (!FindObject(reinterpret_cast<uintptr_t>(object), &span, &cell)) {
    message->Format("loam_finalizer_clear: object: no object lives at %p",
                    object);
    return Status::kInvalidArgument;
  }
  sweeper_.EnsureSwept(span);
  const Status status = specials_.ClearFinalizer(span, cell);
  if (status == Status::kOk) {
    // Down to zero: it may have been set before the last cycle.
    counters_.finalizable_bytes.SubtractDownToZero(span->cell_bytes);
  }
  if (status == Status::kNotFound) {
    message->Format(
        "loam_finalizer_clear: object: %p has no finalizer, or it "
        "is queued already",
        object);
  }
  return status;
}

size_t Runtime::RunFinalizers(Mutator* m, size_t max) {
  FinalizerQueue* queue = specials_.finalizer_queue();
  if (max == 0) max = queue->size();
  size_t ran = 0;
  while (ran < max) {
    // A frame keeps the object alive while its finalizer runs. It is pushed
    // before the object leaves the queue, which is a root too.
    static constexpr FrameMap kMap = {
        1, static_cast<uint32_t>(WordKind::kPointer), nullptr, "finalizer"};
    struct {
      Frame frame;
      uintptr_t slot;
    } root = {};
    root.frame.stack = m->root_stack;
    root.frame.previous = m->root_stack->frames;
    root.frame.map = &kMap;
    m->root_stack->frames = &root.frame;
    Special* special = queue->Pop();
    if (special != nullptr) {
      root.slot = reinterpret_cast<uintptr_t>(special->object());
      const FinalizerCallback function = special->finalizer.function;
      void* data = special->finalizer.data;
      void* object = special->object();
      specials_.FreeRecord(special);
      EmbedderCall("a finalizer", [&] {
        function(reinterpret_cast<loam_mutator*>(m), object, data);
      });
      ran++;
    }
    root.frame.stack->frames = root.frame.previous;
    if (special == nullptr) break;
  }
  return ran;
}

}  // namespace loam
