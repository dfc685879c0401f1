#include "runtime/heap_tracer.h"

#include <cstring>

#include "runtime/gc/gc_cycle.h"

namespace loam {

void RootTable::EnterThread(const char* name) {
  thread_ = name != nullptr ? name : "";
  thread_number_++;
  has_group_ = false;
}

void RootTable::EnterRoot(const char* kind, const char* name) {
  kind_ = kind != nullptr ? kind : "";
  name_ = name != nullptr ? name : "";
  has_group_ = false;
  part_ = 0;
  next_index_ = 0;
}

void RootTable::EnterPart(const char* name) {
  // Copied at once: the embedder may build it for the call.
  if ((names_.empty() && !names_.Add('\0')) || !AddName(name, &part_)) {
    is_out_of_memory_ = true;
  }
  next_index_ = 0;
}

bool RootTable::AddWord(WordKind kind, uintptr_t target) {
  const uint64_t index = next_index_++;
  if (is_out_of_memory_) return false;
  if (target == 0) return true;
  if (!has_group_ && !AddGroup()) return false;
  has_group_ = true;
  const auto group = static_cast<uint32_t>(groups_.size() - 1);
  return references_.Add({kind, group, part_, index, target});
}

bool RootTable::AddGroup() {
  RootGroup group = {};
  group.thread_number = thread_number_;
  if (names_.empty() && !names_.Add('\0')) return false;
  // Neighbours share most.
  const RootGroup* before =
      groups_.empty() ? &group : &groups_[groups_.size() - 1];
  const auto set = [&](const char* text, uint32_t known, uint32_t* offset) {
    *offset = known;
    return strcmp(name(known), text) == 0 || AddName(text, offset);
  };
  const RootGroup last = *before;
  return set(thread_, last.thread, &group.thread) &&
         set(kind_, last.kind, &group.kind) &&
         set(name_, last.name, &group.name) && groups_.Add(group);
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
  cycle->TraceRoots(this);
  return !is_out_of_memory_;
}

void HeapTracer::Visit(WordKind kind, uintptr_t word) {
  AddRoot(kind, references_.TargetOf(kind, word));
}

void HeapTracer::AddRoot(WordKind kind, uintptr_t target) {
  if (is_out_of_memory_) return;
  if (!roots_.AddWord(kind, target)) {
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

void HeapTracer::FollowAll() {
  while (followed_ < order_.size() && !is_out_of_memory_) {
    const uintptr_t cell = order_[followed_++];
    references_.ForEach(cell, [&](const Reference& reference) {
      if (!IsRetaining(reference.kind)) return;
      Reach(reference.target, reference.slot != 0
                                  ? Referrer::Slot(reference.slot)
                                  : Referrer::Callback(cell));
    });
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
    AddRoot(WordKind::kPointer, cell);
    FollowAll();
  }
}

bool HeapTracer::HasReached(uintptr_t address) const {
  const uintptr_t cell = references_.CellOf(address);
  return cell != 0 && reached_.Contains(cell);
}

}  // namespace loam
