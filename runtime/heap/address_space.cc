#include "runtime/heap/address_space.h"

#include <algorithm>

#include "runtime/base/bits.h"
#include "runtime/base/fatal.h"
#include "runtime/heap/os_memory.h"

namespace loam {
namespace {

// Whether the arena map can hold arenas there.
bool Fits(uintptr_t base, size_t bytes) {
  const uintptr_t end = base + bytes;
  return base >= kArenaBytes && end > base && end >> kAddressBits == 0;
}

}  // namespace

void AddressSpace::Initialize(const AddressSpaceOptions& options) {
  uintptr_t first = options.first_hint != 0
                        ? AlignUp(options.first_hint, kArenaBytes)
                        : kFirstHint;
  if (options.randomize) {
    const uint64_t bits = os::RandomBits();
    first += bits % (kRandomRange / kArenaBytes) * kArenaBytes;
    first_padding_pages_ = (bits >> 32) % kPagesPerArena;
  }
  PlantFirstHints(first);
  if (options.linear_bytes != 0) ReserveLinear(options.linear_bytes);
}

void AddressSpace::Release() {
  if (linear_left() > 0) os::Release(linear_next_, linear_left());
  linear_next_ = linear_end_ = 0;
}

void AddressSpace::PlantFirstHints(uintptr_t first) {
  for (size_t i = kHints; i-- > 0;) {
    const uintptr_t address = first + i * kHintStep;
    if (Fits(address, kArenaBytes)) hints_[hint_count_++] = {address, false};
  }
}

// The hint that it takes goes on behind it, for when it is full.
void AddressSpace::ReserveLinear(size_t bytes) {
  for (size_t part = 1; part <= 4; part *= 2) {
    const size_t wanted = AlignUp(bytes / part, kArenaBytes);
    uintptr_t base = TakeHint(wanted);
    if (base == 0) base = TakeAnywhere(wanted);
    if (base == 0) continue;
    linear_next_ = base;
    linear_end_ = base + wanted;
    return;
  }
}

uintptr_t AddressSpace::TakeLinear(size_t bytes) {
  if (bytes > linear_left()) return 0;
  const uintptr_t base = linear_next_;
  linear_next_ += bytes;
  return base;
}

uintptr_t AddressSpace::TakeHint(size_t bytes) {
  for (size_t i = hint_count_; i-- > 0;) {
    Hint& hint = hints_[i];
    const uintptr_t base = hint.down ? hint.address - bytes : hint.address;
    if (!Fits(base, bytes) || os::ReserveExactly(base, bytes) == 0) continue;
    hint.address = hint.down ? base : base + bytes;
    hint_count_ = i + 1;
    return base;
  }
  // None is dropped: perhaps no place was large enough, and a smaller request
  // finds one.
  return 0;
}

uintptr_t AddressSpace::TakeAnywhere(size_t bytes) {
  const uintptr_t base = os::Reserve(0, bytes, kArenaBytes);
  if (base == 0) return 0;
  if (!Fits(base, bytes)) {
    os::Release(base, bytes);
    return 0;
  }
  hints_[0] = {base, true};
  hints_[1] = {base + bytes, false};
  hint_count_ = 2;
  return base;
}

uintptr_t AddressSpace::Reserve(size_t bytes) {
  LOAM_DCHECK(bytes % kArenaBytes == 0);
  uintptr_t base = TakeLinear(bytes);
  if (base == 0) base = TakeHint(bytes);
  if (base == 0) base = TakeAnywhere(bytes);
  return base;
}

bool AddressSpace::ReserveAt(uintptr_t address, size_t bytes) {
  if (address == linear_next_ && linear_left() > 0) {
    return TakeLinear(bytes) != 0;
  }
  if (!Fits(address, bytes) || os::ReserveExactly(address, bytes) == 0) {
    return false;
  }
  for (size_t i = 0; i < hint_count_; i++) {
    Hint& hint = hints_[i];
    if (!hint.down && hint.address == address) hint.address += bytes;
  }
  return true;
}

void AddressSpace::Return(uintptr_t address, size_t bytes) {
  if (address + bytes == linear_next_) {
    linear_next_ = address;
    return;
  }
  os::Release(address, bytes);
  for (size_t i = 0; i < hint_count_; i++) {
    Hint& hint = hints_[i];
    if (!hint.down && hint.address == address + bytes) hint.address = address;
  }
}

}  // namespace loam
