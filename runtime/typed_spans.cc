// Which types have typed spans: those that allocate enough. Mutators promote a
// type when it has earned them (object_allocator.cc); the collector adds up
// what each has allocated and demotes those that stopped.

#include "runtime/runtime.h"

namespace loam {
namespace {

// A type that allocated fewer bytes than this between two cycles, on all
// mutators, loses its typed spans.
constexpr uint64_t kDemoteBytes = 4 << 10;

}  // namespace

bool Runtime::PromoteType(const Type& type) {
  TypeState* state = types_state_.EnsureCommitted(type.index);
  if (state == nullptr) return false;
  if (!state->typed.exchange(true, std::memory_order_relaxed)) {
    typed_types_.Add(1);
  }
  return true;
}

void Runtime::AddTypeBytes(SpanClass span_class, uint32_t bytes) {
  if (span_class < kFirstTypedClass || bytes == 0) return;
  TypeState* state =
      types_state_.EnsureCommitted(span_class - kFirstTypedClass);
  if (state == nullptr) return;
  state->cycle_bytes += bytes;
  if (state->next_active == 0) {
    state->next_active = first_active_type_;
    first_active_type_ = span_class - kFirstTypedClass + 1;
  }
}

// Types that allocated a lot since the last cycle have typed spans already (see
// object_allocator.cc); those that stopped lose them.
void Runtime::DecideTypedSpans() {
  uint32_t next = first_active_type_;
  first_active_type_ = kEndOfUsedList;
  while (next != kEndOfUsedList) {
    const uint32_t index = next - 1;
    TypeState& state = types_state_.at(index);
    next = state.next_active;
    state.next_active = 0;
    const bool typed = state.typed.load(std::memory_order_relaxed);
    if (typed && state.cycle_bytes < kDemoteBytes) {
      state.typed.store(false, std::memory_order_relaxed);
      typed_types_.Subtract(1);
    } else if (typed) {
      // Look at it again after the next cycle even if it allocates nothing.
      state.next_active = first_active_type_;
      first_active_type_ = index + 1;
    }
    state.cycle_bytes = 0;
  }
}

}  // namespace loam
