// What happens to specials when objects die.

#include <algorithm>

#include "runtime/base/fatal.h"
#include "runtime/specials/special_table.h"

namespace loam {

// Records that have left their list: what is to run goes onto the queue, the
// rest back to the pool, when no list is locked any more.
class SpecialTable::Due {
 public:
  void ToQueue(Special* special) {
    special->next = nullptr;
    (last_ == nullptr ? queue_ : last_->next) = special;
    last_ = special;
    count_++;
  }
  void ToFree(Special* special) {
    special->next = free_;
    free_ = special;
  }

  // Newest registration first: by serial number. A merge sort of the list,
  // which needs no memory.
  void SortNewestFirst() {
    Special* runs[64] = {};
    for (Special* next = queue_; next != nullptr;) {
      Special* run = next;
      next = next->next;
      run->next = nullptr;
      size_t i = 0;
      for (; runs[i] != nullptr; i++) {
        run = Merge(runs[i], run);
        runs[i] = nullptr;
      }
      runs[i] = run;
    }
    queue_ = nullptr;
    for (Special* run : runs) queue_ = Merge(run, queue_);
    last_ = queue_;
    while (last_ != nullptr && last_->next != nullptr) last_ = last_->next;
  }

  Special* queue() const { return queue_; }
  Special* last() const { return last_; }
  size_t count() const { return count_; }
  Special* TakeFree() {
    Special* special = free_;
    if (special != nullptr) free_ = special->next;
    return special;
  }

 private:
  static Special* Merge(Special* a, Special* b) {
    Special* merged = nullptr;
    Special** tail = &merged;
    while (a != nullptr && b != nullptr) {
      Special*& newer = a->extra()->serial > b->extra()->serial ? a : b;
      *tail = newer;
      tail = &newer->next;
      newer = newer->next;
    }
    *tail = a != nullptr ? a : b;
    return merged;
  }

  Special* queue_ = nullptr;
  Special* last_ = nullptr;
  size_t count_ = 0;
  Special* free_ = nullptr;
};

namespace {

enum class Fate { kLives, kResurrected, kDies };

// Of the cell up to `cell_end` whose specials begin with `first`: unmarked, but
// with a finalizer, it is marked, and lives for one more cycle.
Fate DecideFate(Span* span, const Special* first, uintptr_t cell_end) {
  const size_t index = span->CellIndex(first->address);
  if (span->IsMarked(index)) return Fate::kLives;
  for (const Special* s = first; s != nullptr && s->address < cell_end;
       s = s->next) {
    if (s->kind == SpecialKind::kFinalizer) {
      span->Mark(index);
      return Fate::kResurrected;
    }
  }
  return Fate::kDies;
}

}  // namespace

void SpecialTable::Settle(Due* due) {
  uint64_t queued_bytes = 0;
  for (Special* s = due->queue(); s != nullptr; s = s->next) {
    queued_bytes += RecordBytes(*s);
    if (s->kind == SpecialKind::kFinalizer) {
      finalizers_set_.Subtract(1);
      if (s->is_unordered) unordered_set_.Subtract(1);
    } else if (s->kind == SpecialKind::kCleanup) {
      cleanups_set_.Subtract(1);
    }
  }
  queued_bytes_.Add(queued_bytes);
  died_bytes_.Add(queued_bytes);
  if (due->queue() != nullptr) {
    queue_.Push(due->queue(), due->last(), due->count());
  }
  while (Special* special = due->TakeFree()) {
    // A watch that has seen what it waited for has not died, but goes as well.
    died_bytes_.Add(RecordBytes(*special));
    if (special->kind == SpecialKind::kWatch) {
      DropReference(special->handle);
    } else if (special->kind == SpecialKind::kProfile) {
      heap_profile_.CountFreed(special->profile.bucket,
                               special->profile.objects);
    }
    pool_.Give(special);
  }
}

void SpecialTable::SweepSpecials(Span* span) {
  Due due;
  {
    const SpinLockHolder lock(&span->specials_lock);
    if (span->specials == nullptr) return;
    uintptr_t cell_end = 0;  // of the cell whose fate is known
    Fate fate = Fate::kLives;
    SpecialList(span).Filter([&](Special* special) {
      if (special->address >= cell_end) {
        cell_end = span->CellOf(special->address) + span->cell_bytes;
        fate = DecideFate(span, special, cell_end);
      }
      switch (special->kind) {
        case SpecialKind::kFinalizer:
          if (fate == Fate::kLives) return true;
          due.ToQueue(special);
          return false;
        case SpecialKind::kWeakHandle:
          if (fate == Fate::kLives) return true;
          ClearWeakHandle(special, &due);
          return false;
        case SpecialKind::kLongWeakHandle:
          if (fate != Fate::kDies) return true;
          ClearWeakHandle(special, &due);
          return false;
        case SpecialKind::kWatch:
          AnswerWatch(special, fate == Fate::kLives, &due);
          return false;
        case SpecialKind::kPin:
          LOAM_CHECK(fate == Fate::kLives, "the pinned object %p is unmarked",
                     special->object());
          return true;
        case SpecialKind::kEmbedder:
        case SpecialKind::kCleanup:
        case SpecialKind::kProfile:
          if (fate != Fate::kDies) return true;
          if (special->calls_back()) {
            due.ToQueue(special);
          } else {
            due.ToFree(special);
          }
          return false;
        case SpecialKind::kDispose:
          return true;
      }
      return true;
    });
    FreeIndexIfEmpty(span);
  }
  Settle(&due);
}

void SpecialTable::ClearWeakHandle(Special* special, Due* due) {
  ClearHandle(special->handle);
  weak_handles_.Subtract(1);
  due->ToFree(special);
}

void SpecialTable::AnswerWatch(Special* special, bool reached, Due* due) {
  special->handle->watch_state.store(
      reached ? WatchState::kReached : WatchState::kUnreached,
      std::memory_order_relaxed);
  ClearHandle(special->handle);
  due->ToFree(special);
}

void SpecialTable::BeginMarking() {
  const uint64_t died = died_bytes_.Get() - died_at_marking_;
  survival_ =
      died == 0
          ? 1
          : 1 - static_cast<double>(died) /
                    static_cast<double>(std::max(died, listed_at_marking_));
  died_at_marking_ += died;
  listed_at_marking_ = page_heap_->record_bytes()->Get() - queued_bytes_.Get();
}

uint64_t SpecialTable::PredictRecordBytes() {
  const uint64_t queued = queued_bytes_.Get();
  const auto survivors = static_cast<uint64_t>(
      static_cast<double>(listed_at_marking_) * survival_);
  // Some are known to have died already.
  return queued +
         std::min(survivors, page_heap_->record_bytes()->Get() - queued);
}

bool SpecialTable::QueueUnordered() {
  if (unordered_set_.Get() == 0) return false;
  Due due;
  ForEachSpan([&](Span* span) {
    const SpinLockHolder lock(&span->specials_lock);
    SpecialList(span).Filter([&](Special* special) {
      if (span->IsMarked(span->CellIndex(special->address))) return true;
      if (special->is_unordered) {
        due.ToQueue(special);
        return false;
      }
      // Dead, whether or not what is queued here keeps it for one more cycle:
      // sweeping could not tell.
      if (special->kind == SpecialKind::kWatch) {
        AnswerWatch(special, /*reached=*/false, &due);
        return false;
      }
      if (special->kind == SpecialKind::kWeakHandle) {
        ClearWeakHandle(special, &due);
        return false;
      }
      return true;
    });
    FreeIndexIfEmpty(span);
  });
  due.SortNewestFirst();
  const bool any = due.count() > 0;
  Settle(&due);
  return any;
}

void SpecialTable::QueueAll() {
  Due unordered;
  Due due;
  ForEachSpan([&](Span* span) {
    const SpinLockHolder lock(&span->specials_lock);
    SpecialList(span).Filter([&](Special* special) {
      if (!special->calls_back()) return true;
      (special->is_unordered ? unordered : due).ToQueue(special);
      return false;
    });
    FreeIndexIfEmpty(span);
  });
  unordered.SortNewestFirst();
  Settle(&unordered);
  Settle(&due);
}

}  // namespace loam
