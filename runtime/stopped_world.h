// Stops the world for the lifetime of the object, all spans swept and all
// cursors flushed on the way.

#ifndef LOAM_RUNTIME_STOPPED_WORLD_H_
#define LOAM_RUNTIME_STOPPED_WORLD_H_

#include "runtime/runtime.h"

namespace loam {

class StoppedWorld {
 public:
  StoppedWorld(Runtime* runtime, Mutator* m) : runtime_(runtime), m_(m) {
    runtime_->StopTheWorld(m_);
    runtime_->FlushAndSweep();
  }
  ~StoppedWorld() { runtime_->StartTheWorld(m_); }
  StoppedWorld(const StoppedWorld&) = delete;
  StoppedWorld& operator=(const StoppedWorld&) = delete;

 private:
  Runtime* const runtime_;
  Mutator* const m_;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_STOPPED_WORLD_H_
