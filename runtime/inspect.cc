// Runtime's questions and answers about itself: statistics, walks, invariants.

#include <cstdio>

#include "runtime/base/embedder_call.h"
#include "runtime/checking.h"
#include "runtime/object_allocator.h"
#include "runtime/runtime.h"
#include "runtime/stopped_world.h"

namespace loam {
namespace {

class Reporter {
 public:
  Reporter(void (*report)(const char* line, void* data), void* data)
      : report_(report), data_(data) {}

  void Fail(const char* format, ...) __attribute__((format(printf, 2, 3))) {
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (report_ != nullptr) {
      EmbedderCall("the report function of loam_heap_check",
                   [&] { report_(line, data_); });
    }
    failures_++;
  }
  size_t failures() const { return failures_; }

 private:
  void (*const report_)(const char* line, void* data);
  void* const data_;
  size_t failures_ = 0;
};

// After a flush and a full sweep, with the world stopped.
void CheckSpan(const Span& span, uint32_t generation, Reporter* reporter) {
  const void* at = &span;
  const SweepState state =
      SweepStateOf(span.sweepgen.load(std::memory_order_relaxed), generation);
  if (state != SweepState::kSwept && state != SweepState::kCached) {
    reporter->Fail("span %p is unswept (sweepgen %u in generation %u)", at,
                   span.sweepgen.load(std::memory_order_relaxed), generation);
  }
  if (state == SweepState::kSwept && span.list_id == SpanListId::kNone) {
    reporter->Fail("span %p is neither cached nor on a list", at);
  }
  if (span.free_index() > span.cell_count) {
    reporter->Fail("span %p: free_index %u of %u cells", at, span.free_index(),
                   span.cell_count);
  }
  if (span.cell_count * span.cell_bytes > span.bytes()) {
    reporter->Fail("span %p: %u cells of %zu bytes in %zu bytes", at,
                   span.cell_count, span.cell_bytes, span.bytes());
  }
  if (CountSet(span.mark_bits, 0, span.cell_count) != 0) {
    reporter->Fail("span %p has mark bits outside marking", at);
  }
  for (size_t i = 0; i < span.cell_count; i++) {
    const uintptr_t cell = span.CellAddress(i);
    if (span.CellIndex(cell) != i ||
        span.CellIndex(cell + span.cell_bytes - 1) != i) {
      reporter->Fail("span %p: cell %zu is not found by its address", at, i);
    }
    if (span.is_headed() && span.IsAllocated(i) &&
        span.TypeOf(cell) == nullptr) {
      reporter->Fail("span %p: object in cell %zu has no type", at, i);
    }
  }
}

}  // namespace

RuntimeStats Runtime::stats() {
  RuntimeStats stats = {};
  stats.pages = page_heap_.stats();
  stats.external_bytes = counters_.external_bytes.Get();
  stats.trigger = pacer_.trigger();
  stats.cycle = cycle_.totals();
  stats.swept_bytes = sweeper_.swept_pages() * kPageBytes;
  stats.mutators = safepoints_.mutator_count();
  stats.typed_types = typed_types_.Get();
  stats.finalizers_set = specials_.finalizers_set();
  stats.cleanups_set = specials_.cleanups_set();
  stats.pinned_objects = specials_.pinned_objects();
  stats.weak_handles = specials_.weak_handles();
  stats.finalizers_waiting = specials_.finalizer_queue()->size();
  stats.scavenged_bytes = scavenger_.scavenged_bytes();
  stats.scavenger_ns = scavenger_.worked_ns();
  stats.background_sweep_ns = background_sweeper_.worked_ns();
  return stats;
}

bool Runtime::FindObject(uintptr_t address, Span** span, uintptr_t* cell) {
  Span* found = page_heap_.FindSpan(address);
  if (found == nullptr) return false;
  const size_t index = found->CellIndex(address);
  if (index >= found->cell_count || !found->IsAllocated(index)) return false;
  *span = found;
  *cell = found->CellAddress(index);
  return true;
}

size_t Runtime::ObjectBytes(const Span& span, uintptr_t cell) {
  const Type* type = span.TypeOf(cell);
  if (type == nullptr || type->scan != ScanKind::kCellBitmap) {
    return span.object_bytes();
  }
  return CellBitmapsOf(cell, cell + span.object_bytes()).words * kWordBytes;
}

void Runtime::FlushAndSweep() {
  FlushCursors();
  sweeper_.SweepAllAndWait();
}

void Runtime::Walk(Mutator* m,
                   bool (*visit)(void* object, size_t bytes, const Type* type,
                                 void* data),
                   void* data) {
  const ScopedFatalContext context(&fatal_context_);
  const StoppedWorld stopped(this, m);
  bool go_on = true;
  page_heap_.ForEachSpan([&](Span* span) {
    for (size_t i = 0; i < span->cell_count && go_on; i++) {
      if (!span->IsAllocated(i)) continue;
      const uintptr_t cell = span->CellAddress(i);
      const Type* type = span->TypeOf(cell);
      if (type != nullptr && (type->flags & kTypeInternal) != 0) type = nullptr;
      go_on = visit(reinterpret_cast<void*>(cell), ObjectBytes(*span, cell),
                    type, data);
    }
  });
}

size_t Runtime::Check(Mutator* m, bool full,
                      void (*report)(const char* line, void* data),
                      void* data) {
  const ScopedFatalContext context(&fatal_context_);
  Reporter reporter(report, data);
  char problem[200];
  if (!full) {
    if (!page_heap_.CheckPages(problem, sizeof(problem))) {
      reporter.Fail("%s", problem);
    }
    return reporter.failures();
  }
  const StoppedWorld stopped(this, m);
  if (!page_heap_.CheckInvariants(problem, sizeof(problem))) {
    reporter.Fail("%s", problem);
  }
  const uint32_t generation = sweeper_.generation();
  page_heap_.ForEachSpan(
      [&](const Span* span) { CheckSpan(*span, generation, &reporter); });
  return reporter.failures();
}

}  // namespace loam
