#include "runtime/sweep/sweeper.h"

#include <sched.h>

#include <cstring>

#include "runtime/base/fatal.h"

namespace loam {
namespace {

constexpr int kPoisonByte = 0xdb;

void PrintCell(const char* what, const Span* span, size_t index) {
  const uintptr_t cell = span->CellAddress(index);
  const Type* type = span->TypeOf(cell);
  PrintRaw("loam: %s: cell %zu at %p, %zu bytes, type %s\n", what, index,
           reinterpret_cast<void*>(cell), span->cell_bytes,
           type != nullptr ? type->name : "(none)");
  const auto* words = reinterpret_cast<const uint64_t*>(cell);
  for (size_t i = 0; i < span->cell_bytes / kWordBytes && i < 8; i++) {
    PrintRaw("loam:   +%-3zu %016llx\n", i * kWordBytes,
             static_cast<unsigned long long>(words[i]));
  }
}

}  // namespace

void Sweeper::NextGeneration() {
  LOAM_CHECK(is_done(), "a new sweep generation while spans are unswept");
  generation_.store(generation() + kGenerationStep, std::memory_order_release);
  cursor_.store(registered_.load(std::memory_order_acquire),
                std::memory_order_release);
  reclaimer_.Begin();
  // Nothing is due before StartPacing.
  pacer_.Stop();
  // Last: from here on sweepers may begin.
  active_.Begin();
}

void Sweeper::StartPacing(uint64_t trigger, uint32_t mutators) {
  pacer_.Start(page_heap_->span_pages(), swept_pages(), ChargedBytes(), trigger,
               mutators);
}

void Sweeper::RegisterNew(const SpanShape& shape) {
  CentralSpanList* list = shape.central;
  MutexLock lock(&registry_mutex_);
  if (list->registered.load(std::memory_order_relaxed)) return;
  // A list made since the cycle has nothing unswept: the cursor need not see
  // it.
  list->next_registered = registered_.load(std::memory_order_relaxed);
  list->kind = shape.kind;
  list->type = shape.kind == SpanKind::kTyped ? shape.type : nullptr;
  list->cell_bytes = shape.cell_bytes;
  registered_.store(list, std::memory_order_release);
  list->registered.store(true, std::memory_order_relaxed);
}

// A zombie is marked but was never allocated: a stale or forged reference, or a
// bug of ours. Going on would hand the cell out while it is in use.
void Sweeper::CheckNoZombies(const Span* span) const {
  const size_t first = span->free_index();
  for (size_t w = first / kBitsPerWord; w < BitmapWords(span->cell_count);
       w++) {
    uint64_t zombies = span->mark_bits[w] & ~span->alloc_bits()[w];
    if (w == first / kBitsPerWord) {
      zombies &= ~LowBits(first % kBitsPerWord);
    }
    if (zombies == 0) continue;
    const size_t index = w * kBitsPerWord + std::countr_zero(zombies);
    PrintCell("marked free cell", span, index);
    if (index > 0) PrintCell("cell before it", span, index - 1);
    FatalMisuse(
        "a reference to a free cell was found while marking: %p, in a span of "
        "%zu-byte cells; an object was used after it became unreachable (run "
        "with LOAM_VERIFY=1 LOAM_STRESS=1 to see who refers to it)",
        reinterpret_cast<void*>(span->CellAddress(index)), span->cell_bytes);
  }
}

void Sweeper::PoisonFreed(const Span* span) const {
  for (size_t i = 0; i < span->cell_count; i++) {
    if (span->IsAllocated(i) && !span->IsMarked(i)) {
      // Not the type word: marking follows it if a stale reference leads here,
      // before anybody can say so.
      memset(reinterpret_cast<void*>(span->CellAddress(i)), kPoisonByte,
             span->object_bytes());
      if (span->is_headed()) *span->TypeWord(span->CellAddress(i)) = nullptr;
    }
  }
}

void Sweeper::FindDead(Span* span) {
  if (span->specials != nullptr) specials_->SweepSpecials(span);
  if (span->may_dispose()) specials_->DisposeDead(span);
  CheckNoZombies(span);
  if (poison_) PoisonFreed(span);
  const auto live =
      static_cast<uint16_t>(CountSet(span->mark_bits, 0, span->cell_count));
  LOAM_DCHECK(span->uncounted_dead_cells == 0);
  span->uncounted_dead_cells =
      static_cast<uint16_t>(span->allocated_cells - live);
  span->allocated_cells = live;
}

void Sweeper::ReuseCells(Span* span) {
  // Anything freed, or never handed out after having been used, is dirty; a
  // span that was fresh and is full of live objects is not, but then need_zero
  // does not matter.
  if (span->allocated_cells < span->cell_count) span->need_zero = true;
  span->set_alloc_bits(span->mark_bits);
  span->set_mark_bits(page_heap_->gc_bits()->New(span->cell_count));
  span->set_free_index(0);
}

Span* Sweeper::Sweep(SweepToken token, ActiveSweep* active) {
  Span* span = token.span();
  FindDead(span);
  active->AddSwept(span->page_count);
  ReuseCells(span);
  return token.Publish();
}

void Sweeper::SweepInto(SweepBatch* batch, SweepToken token) {
  token.span()->central->Remove(token.span());
  SweepUnlisted(batch, std::move(token));
}

void Sweeper::SweepUnlisted(SweepBatch* batch, SweepToken token) {
  const uint32_t generation = token.generation();
  Span* span = token.span();
  FindDead(span);
  batch->CountSwept(span);
  if (span->allocated_cells == 0) {
    // It needs no bits any more. Nothing in it is allocated.
    span->set_alloc_bits(NoBits());
    span->set_free_index(0);
    span->central->Count(span, 0);
    batch->AddDead(token.Publish());
    return;
  }
  ReuseCells(span);
  token.Publish();
  const bool full = span->allocated_cells == span->cell_count;
  span->central->PushSwept({span, full}, generation);
}

size_t Sweeper::SweepAndReturn(SweepToken token) {
  SweepBatch batch = NewBatch();
  SweepInto(&batch, std::move(token));
  return batch.dead_pages();
}

CentralSpanList* Sweeper::PassDrained(CentralSpanList* list) {
  // Nothing is added to an unswept set before the next cycle.
  CentralSpanList* next = list->next_registered;
  // If somebody else was faster, `list` becomes what the cursor has.
  return cursor_.compare_exchange_strong(list, next, std::memory_order_acq_rel,
                                         std::memory_order_acquire)
             ? next
             : list;
}

void Sweeper::SetDrained() {
  // Spans that are on no list any more are with threads in an ActiveSweep, as
  // this one is: the generation cannot have changed.
  active_.SetDrained();
  pacer_.Stop();
}

bool Sweeper::FindUnswept() {
  CentralSpanList* list = cursor_.load(std::memory_order_acquire);
  while (list != nullptr && !list->HasUnswept(generation())) {
    list = PassDrained(list);
  }
  if (list == nullptr) SetDrained();
  return list != nullptr;
}

bool Sweeper::SweepOneInto(SweepBatch* batch) {
  const uint32_t generation = this->generation();
  CentralSpanList* list = cursor_.load(std::memory_order_acquire);
  while (list != nullptr) {
    Span* span = list->TakeForSweeping(generation);
    if (span != nullptr) {
      SweepToken token = SweepToken::TryAcquire(span, generation);
      if (!token) continue;
      SweepUnlisted(batch, std::move(token));
      return true;
    }
    list = PassDrained(list);
  }
  SetDrained();
  return false;
}

bool Sweeper::SweepSome(size_t spans, size_t* pages_freed) {
  *pages_freed = 0;
  const ActiveSweep active(&active_);
  if (!active) return false;
  SweepBatch batch = NewBatch();
  bool more = true;
  for (; spans > 0 && more; spans--) more = SweepOneInto(&batch);
  *pages_freed = batch.dead_pages();
  return more;
}

void Sweeper::SweepDebt() {
  const ActiveSweep active(&active_);
  if (!active) return pacer_.Stop();
  const uint64_t debt = Debt();
  SweepBatch batch = NewBatch();
  while (batch.swept_pages() < debt && SweepOneInto(&batch)) {
  }
}

bool Sweeper::Reclaim(size_t pages, size_t max_chunks) {
  const ActiveSweep active(&active_);
  if (!active || !FindUnswept()) return false;
  SweepBatch batch = NewBatch();
  return reclaimer_.Reclaim(generation(), pages, max_chunks, &batch);
}

size_t Sweeper::SweepAll() {
  const ActiveSweep active(&active_);
  if (!active) return 0;
  SweepBatch batch = NewBatch();
  size_t spans = 0;
  while (SweepOneInto(&batch)) spans++;
  return spans;
}

void Sweeper::SweepAllAndWait() {
  SweepAll();
  while (!is_done()) sched_yield();
}

bool Sweeper::IsSwept(const Span& span) const {
  const SweepState state =
      SweepStateOf(span.sweepgen.load(std::memory_order_acquire), generation());
  return state == SweepState::kSwept || state == SweepState::kCached;
}

void Sweeper::EnsureSwept(Span* span) {
  // Mostly it is. No generation begins while the caller is between safepoints,
  // so this needs none of the care that sweeping does.
  if (IsSwept(*span)) return;
  for (;;) {
    {
      const ActiveSweep active(&active_);
      if (IsSwept(*span)) return;
      const uint32_t generation = this->generation();
      SweepToken token = active ? SweepToken::TryAcquire(span, generation)
                                : SweepToken::None(generation);
      if (token) {
        SweepAndReturn(std::move(token));
        return;
      }
    }
    sched_yield();
  }
}

}  // namespace loam
