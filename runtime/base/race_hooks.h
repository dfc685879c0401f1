// Named points at which a test may hold a thread, to make an interleaving
// repeatable. Outside builds with LOAM_RACE_HOOKS they are nothing.
//
// A test installs a function for a point, runs the threads, and removes it.

#ifndef LOAM_RUNTIME_BASE_RACE_HOOKS_H_
#define LOAM_RUNTIME_BASE_RACE_HOOKS_H_

#include <atomic>

namespace loam {

enum class RacePoint {
  kStopRequested,     // the safepoint words are set, states not yet read
  kLeaveNative,       // running again, safepoint word not yet read
  kSweepTokenTaken,   // a sweeper has acquired a span, nothing done yet
  kSpanPopped,        // a span came off an unswept list, token not yet taken
  kSpansDead,         // dead spans are swept, not yet back in the page heap
  kRecordTaken,       // a new span has a freed one's record, not yet set up
  kChunkClaimed,      // a reclaimer has claimed a chunk, not looked at it yet
  kSpansLookedUp,     // it has read which spans there are, no sweepgen yet
  kLinkedNotRunning,  // attaching: in the heap's list, world may be stopped
  kDetachedStillCounted,  // detaching: out of the list, memory not yet released
  kMomentChosen,          // a profile's moment is known, no counts read yet
  kCount,
};

#ifdef LOAM_RACE_HOOKS
using RaceHook = void (*)(RacePoint point);
extern std::atomic<RaceHook> race_hook;  // Test builds only.
inline void AtRacePoint(RacePoint point) {
  if (RaceHook hook = race_hook.load(std::memory_order_acquire)) hook(point);
}
#else
inline void AtRacePoint(RacePoint) {}
#endif

}  // namespace loam

#endif  // LOAM_RUNTIME_BASE_RACE_HOOKS_H_
