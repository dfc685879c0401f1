#include "runtime/heap_tracer.h"

#include <cstring>

#include "runtime/gc/gc_cycle.h"

namespace loam {

void RootTable::EnterThread(const char* name) {
  thread_ = name != nullptr ? name : "";
  thread_number_++;
  group_ = kNoGroup;
}

void RootTable::EnterRoot(const char* kind, const char* name) {
  kind_ = kind != nullptr ? kind : "";
  name_ = name != nullptr ? name : "";
  words_ = part_start_ = 0;
  part_ = 0;
  group_ = FindGroup();
}

void RootTable::EnterPart(const char* name) {
  if (is_out_of_memory_) return;
  // Copied at once: the embedder may build it for the call.
  if ((names_.empty() && !names_.Add('\0')) || !AddName(name, &part_)) {
    is_out_of_memory_ = true;
  }
  part_start_ = group_ != kNoGroup ? groups_[group_].words : words_;
}

uint32_t RootTable::FindGroup() const {
  if (thread_[0] != '\0' || name_[0] != '\0') return kNoGroup;
  for (const uint32_t group : nameless_) {
    if (strcmp(name(groups_[group].kind), kind_) == 0) return group;
  }
  return kNoGroup;
}

bool RootTable::AddWord(uintptr_t target) {
  if (is_out_of_memory_) return false;
  if (group_ == kNoGroup && target != 0 && !AddGroup()) {
    is_out_of_memory_ = true;
    return false;
  }
  uint64_t& words = group_ != kNoGroup ? groups_[group_].words : words_;
  const uint64_t index = words++ - part_start_;
  if (target != 0 && !references_.Add({group_, part_, index, target})) {
    is_out_of_memory_ = true;
  }
  return !is_out_of_memory_;
}

bool RootTable::AddGroup() {
  RootGroup group = {};
  group.thread_number = thread_number_;
  group.words = words_;
  if (names_.empty() && !names_.Add('\0')) return false;
  // Neighbours share most.
  const RootGroup last = groups_.empty() ? group : groups_[groups_.size() - 1];
  const auto set = [&](const char* text, uint32_t known, uint32_t* offset) {
    *offset = known;
    return strcmp(name(known), text) == 0 || AddName(text, offset);
  };
  const auto number = static_cast<uint32_t>(groups_.size());
  const bool is_nameless = thread_[0] == '\0' && name_[0] == '\0';
  const bool is_added = set(thread_, last.thread, &group.thread) &&
                        set(kind_, last.kind, &group.kind) &&
                        set(name_, last.name, &group.name) &&
                        groups_.Add(group) &&
                        (!is_nameless || nameless_.Add(number));
  if (is_added) group_ = number;
  return is_added;
}

bool RootTable::AddName(const char* name, uint32_t* offset) {
  const size_t start = names_.size();
  const size_t bytes = strlen(name) + 1;
  // A heap with 4 GiB of root names does not read them.
  if (bytes == 1 || start + bytes > UINT32_MAX) {
    *offset = 0;
    return true;
  }
  if (!names_.Extend(bytes)) return false;
  memcpy(&names_[start], name, bytes);
  *offset = static_cast<uint32_t>(start);
  return true;
}

bool HeapTracer::Trace(GcCycle* cycle) {
  if (!reached_.Initialize(page_heap_->arena_snapshot())) return false;
  cycle->TraceFromRoots(this);
  return !is_out_of_memory_;
}

void HeapTracer::Visit(WordKind kind, uintptr_t word) {
  AddRoot(references_.TargetOf(kind, word));
}

void HeapTracer::VisitWeak(WordKind kind, uintptr_t word) {
  const uintptr_t target = references_.TargetOf(kind, word);
  AddRoot(target != 0 && references_.IsNeverCleared(target) ? target : 0);
}

void HeapTracer::AddRoot(uintptr_t target) {
  if (is_out_of_memory_) return;
  if (!roots_.AddWord(target)) {
    is_out_of_memory_ = true;
    return;
  }
  if (target == 0) return;
  Reach(target, Referrer::Root(roots_.references().size() - 1));
}

void HeapTracer::Reach(uintptr_t cell, Referrer referrer) {
  if (!reached_.Add(cell)) return;
  if (!order_.Add(cell) ||
      (keep_ == Keep::kReferrers && !referrers_.Add(referrer))) {
    is_out_of_memory_ = true;
  }
}

uintptr_t HeapTracer::MissingKey(uintptr_t cell, uintptr_t slot) const {
  uintptr_t missing = 0;
  references_.ForEachKey(cell, slot, [&](uintptr_t key) {
    if (missing == 0 && !reached_.Contains(key)) missing = key;
  });
  return missing;
}

bool HeapTracer::IsRetaining(uintptr_t cell, const Reference& reference) const {
  if (IsStrong(reference.kind)) return true;
  if (references_.IsNeverCleared(reference.target)) return true;
  return reference.kind == WordKind::kEphemeronValue &&
         MissingKey(cell, reference.slot) == 0;
}

void HeapTracer::WaitFor(uintptr_t key, uintptr_t slot) {
  const size_t cell_bytes = page_heap_->FindSpan(key)->cell_bytes;
  if (!waiting_.Add(key, cell_bytes, slot)) is_out_of_memory_ = true;
}

void HeapTracer::Follow(uintptr_t cell) {
  references_.ForEach(cell, [&](const Reference& reference) {
    if (IsRetaining(cell, reference)) {
      Reach(reference.target, reference.slot != 0
                                  ? Referrer::Slot(reference.slot)
                                  : Referrer::Callback(cell));
    } else if (reference.kind == WordKind::kEphemeronValue) {
      WaitFor(MissingKey(cell, reference.slot), reference.slot);
    }
  });
  if (waiting_.waiting() != 0) {
    waiting_.Take(cell, [&](uintptr_t slot) { FollowValue(slot); });
  }
}

void HeapTracer::FollowValue(uintptr_t slot) {
  const uintptr_t key = MissingKey(references_.CellOf(slot), slot);
  if (key != 0) return WaitFor(key, slot);
  const uintptr_t word = *reinterpret_cast<const uintptr_t*>(slot);
  Reach(references_.TargetOf(WordKind::kEphemeronValue, word),
        Referrer::Slot(slot));
}

void HeapTracer::FollowAll() {
  while (followed_ < order_.size() && !is_out_of_memory_) {
    Follow(order_[followed_++]);
  }
}

void HeapTracer::ScanObject(Span*, uintptr_t cell) {
  // A collection scans it now and leaves it dead if nothing else reaches it;
  // here its other roots, and what they reach, come first.
  if (!finalizable_.Add(cell)) is_out_of_memory_ = true;
}

void HeapTracer::Drain() {
  FollowAll();
  if (finalizable_done_ == finalizable_.size()) return;
  roots_.EnterRoot("object with a finalizer", nullptr);
  while (finalizable_done_ < finalizable_.size() && !is_out_of_memory_) {
    const uintptr_t cell = finalizable_[finalizable_done_++];
    if (reached_.Contains(cell)) continue;
    AddRoot(cell);
    FollowAll();
  }
}

bool HeapTracer::HasReached(uintptr_t address) const {
  const uintptr_t cell = references_.CellOf(address);
  return cell != 0 && reached_.Contains(cell);
}

}  // namespace loam
