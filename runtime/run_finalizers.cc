// Running what is queued because objects have died.

#include "runtime/base/embedder_call.h"
#include "runtime/rooted_words.h"
#include "runtime/runtime.h"

namespace loam {
namespace {

// What a callback gets is rooted while it runs. Between its record's leaving
// the queue, which is a root too, and that, there is no safepoint.
enum RootedWord { kObject, kValue, kRootedWords };
constexpr uint8_t kKinds[kRootedWords] = {
    static_cast<uint8_t>(WordKind::kPointer),
    static_cast<uint8_t>(WordKind::kValue)};
constexpr FrameMap kMap = {kRootedWords, 0, kKinds, "loam_finalizers_run"};

// A copy of what a record says, made before its memory is given back: so a
// callback that does not return loses nothing.
struct QueuedCall {
  SpecialKind kind;
  void* object;
  uintptr_t value;
  union {
    FinalizerCallback finalizer;
    CleanupCallback cleanup;
    void (*died)(loam_mutator* m, uintptr_t word, void* data);
  };
  void* data;
};

QueuedCall CallOf(const Special& special) {
  QueuedCall call = {};
  call.kind = special.kind;
  switch (special.kind) {
    case SpecialKind::kFinalizer:
      call.object = special.object();
      call.finalizer = special.finalizer.function;
      call.data = special.finalizer.data;
      break;
    case SpecialKind::kCleanup:
      call.value = special.extra()->value;
      call.cleanup = special.cleanup.function;
      call.data = special.cleanup.data;
      break;
    default:
      call.value = special.embedder.word;
      call.died = special.embedder.kind->died;
      call.data = special.embedder.kind->data;
  }
  return call;
}

void Run(loam_mutator* m, const QueuedCall& call) {
  switch (call.kind) {
    case SpecialKind::kFinalizer:
      EmbedderCall("a finalizer",
                   [&] { call.finalizer(m, call.object, call.data); });
      break;
    case SpecialKind::kCleanup:
      EmbedderCall("a cleanup",
                   [&] { call.cleanup(m, call.value, call.data); });
      break;
    default:
      EmbedderCall("the callback of a kind of special",
                   [&] { call.died(m, call.value, call.data); });
  }
}

}  // namespace

size_t Runtime::RunFinalizers(Mutator* m, size_t max) {
  FinalizerQueue* queue = specials_.finalizer_queue();
  if (max == 0) max = queue->size();
  for (size_t ran = 0; ran < max; ran++) {
    RootedWords<kRootedWords> roots(m, &kMap);
    Special* special = queue->Pop();
    if (special == nullptr) {
      if (RunOneDispose(m)) continue;
      return ran;
    }
    const QueuedCall call = CallOf(*special);
    roots[kObject] = reinterpret_cast<uintptr_t>(call.object);
    if (call.kind == SpecialKind::kCleanup) roots[kValue] = call.value;
    specials_.FreeRecord(special);
    Run(reinterpret_cast<loam_mutator*>(m), call);
  }
  return max;
}

bool Runtime::RunOneDispose(Mutator* m) {
  FinalizerQueue* queue = specials_.finalizer_queue();
  RootedWords<kRootedWords> roots(m, &kMap);
  while (Span* span = queue->FirstWaiting()) {
    // The sweeper must not find the cell disposed of before this thread has
    // called the function: from here on the next cycle finds it rooted.
    sweeper_.EnsureSwept(span);
    const Type* type;
    if (!specials_.TakeWaiting(span, &roots[kObject], &type)) continue;
    const uintptr_t object = roots[kObject];
    EmbedderCall("a dispose function", [&] {
      type->dispose(reinterpret_cast<void*>(object), span->object_bytes());
    });
    return true;
  }
  return false;
}

void Runtime::FinalizeAll() {
  // Those that callbacks set meanwhile run in the next round: not for ever, for
  // they may set themselves again.
  constexpr int kRounds = 8;
  ErrorMessage message;
  Mutator* m;
  if (Attach("loam_heap_destroy", &m, &message) != Status::kOk) {
    Log("loam_heap_destroy: no memory to run what is left");
    return;
  }
  FinalizerQueue* queue = specials_.finalizer_queue();
  for (int round = 0; round < kRounds; round++) {
    // Whatever is dead is queued as after any collection, in its order.
    Collect(m, CycleReason::kRequested, /*sweep_all=*/true);
    specials_.QueueAll();
    if (queue->size() == 0) break;
    RunFinalizers(m, 0);
  }
  (void)Detach(m, &message);
}

}  // namespace loam
