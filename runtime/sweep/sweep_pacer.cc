#include "runtime/sweep/sweep_pacer.h"

#include <algorithm>

namespace loam {
namespace {

// Sweeping is to be over a sixty-fourth of the way before the trigger, and by
// so much for each mutator but one, since each may have charged a span and not
// swept for it yet. Not earlier than this part of the way: what is swept early
// goes back to the page heap, and costs more to get than from the central list.
constexpr uint64_t kLeastFraction = 64;
constexpr uint64_t kBytesPerMutator = uint64_t{128} << 10;
constexpr uint64_t kMostFraction = 8;

}  // namespace

void SweepPacer::SetLine(uint64_t swept, uint64_t charged_bytes,
                         uint64_t trigger) {
  const uint64_t way = trigger > charged_bytes ? trigger - charged_bytes : 0;
  const uint64_t others = mutators_ > 0 ? mutators_ - 1 : 0;
  const uint64_t reserve = std::min(
      way / kMostFraction, way / kLeastFraction + others * kBytesPerMutator);
  const double slope =
      end_pages_ > swept
          ? static_cast<double>(end_pages_ - swept) /
                static_cast<double>(std::max<uint64_t>(way - reserve, 1))
          : 0;
  basis_bytes_.store(charged_bytes, std::memory_order_relaxed);
  basis_pages_.store(swept, std::memory_order_relaxed);
  pages_per_byte_.store(slope, std::memory_order_relaxed);
}

void SweepPacer::Start(uint64_t pages, uint64_t swept, uint64_t charged_bytes,
                       uint64_t trigger, uint32_t mutators) {
  const SpinLockHolder lock(&lock_);
  end_pages_ = swept + pages;
  mutators_ = mutators;
  SetLine(swept, charged_bytes, trigger);
}

void SweepPacer::MoveBasis(uint64_t swept, uint64_t charged_bytes,
                           uint64_t trigger) {
  const SpinLockHolder lock(&lock_);
  if (pages_per_byte_.load(std::memory_order_relaxed) == 0) return;
  SetLine(swept, charged_bytes, trigger);
}

}  // namespace loam
