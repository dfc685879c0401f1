// Specials of objects, as the interface has them: finalizers and pins.

#include "runtime/base/embedder_call.h"
#include "runtime/runtime.h"

namespace loam {

namespace {

// Once more if free pages that go back to the OS make room for a record.
template <typename Attempt>
Status WithRecord(Runtime* runtime, Attempt&& attempt) {
  const Status status = attempt();
  return status == Status::kOutOfMemory && runtime->ReleaseMemory() > 0
             ? attempt()
             : status;
}

}  // namespace

Status Runtime::FindForSpecials(const char* call, void* object, Span** span,
                                uintptr_t* cell, ErrorMessage* message) {
  if (!FindObject(reinterpret_cast<uintptr_t>(object), span, cell)) {
    message->Format("%s: object: no object lives at %p", call, object);
    return Status::kInvalidArgument;
  }
  // The sweeper of this span may be deciding what the specials of its dead
  // objects mean: ours must not join them before it is done.
  sweeper_.EnsureSwept(*span);
  return Status::kOk;
}

Status Runtime::SetFinalizer(void* object, FinalizerCallback function,
                             void* data, ErrorMessage* message) {
  constexpr char kCall[] = "loam_finalizer_set";
  const ScopedFatalContext context(&fatal_context_);
  Span* span;
  uintptr_t cell;
  Status status = FindForSpecials(kCall, object, &span, &cell, message);
  if (status != Status::kOk) return status;
  status = WithRecord(
      this, [&] { return specials_.SetFinalizer(span, cell, function, data); });
  if (status == Status::kOk) counters_.finalizable_bytes.Add(span->cell_bytes);
  if (status == Status::kWrongState) {
    message->Format("%s: object: %p has a finalizer already", kCall, object);
  } else if (status == Status::kOutOfMemory) {
    message->Format("%s: no memory for the finalizer's record", kCall);
  }
  return status;
}

Status Runtime::ClearFinalizer(void* object, ErrorMessage* message) {
  constexpr char kCall[] = "loam_finalizer_clear";
  const ScopedFatalContext context(&fatal_context_);
  Span* span;
  uintptr_t cell;
  Status status = FindForSpecials(kCall, object, &span, &cell, message);
  if (status != Status::kOk) return status;
  status = specials_.ClearFinalizer(span, cell);
  if (status == Status::kOk) {
    // Down to zero: it may have been set before the last cycle.
    counters_.finalizable_bytes.SubtractDownToZero(span->cell_bytes);
  }
  if (status == Status::kNotFound) {
    message->Format("%s: object: %p has no finalizer, or it is queued already",
                    kCall, object);
  }
  return status;
}

Status Runtime::Pin(void* object, ErrorMessage* message) {
  constexpr char kCall[] = "loam_pin";
  const ScopedFatalContext context(&fatal_context_);
  Span* span;
  uintptr_t cell;
  Status status = FindForSpecials(kCall, object, &span, &cell, message);
  if (status != Status::kOk) return status;
  status = WithRecord(this, [&] { return specials_.Pin(span, cell); });
  if (status == Status::kOutOfMemory) {
    message->Format("%s: no memory for the pin's record", kCall);
  }
  return status;
}

Status Runtime::Unpin(void* object, ErrorMessage* message) {
  constexpr char kCall[] = "loam_unpin";
  const ScopedFatalContext context(&fatal_context_);
  Span* span;
  uintptr_t cell;
  Status status = FindForSpecials(kCall, object, &span, &cell, message);
  if (status != Status::kOk) return status;
  status = specials_.Unpin(span, cell);
  if (status == Status::kNotFound) {
    message->Format("%s: object: %p is not pinned", kCall, object);
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
