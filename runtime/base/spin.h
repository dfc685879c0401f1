// Waiting awake for what will soon happen on another processor.

#ifndef LOAM_RUNTIME_BASE_SPIN_H_
#define LOAM_RUNTIME_BASE_SPIN_H_

namespace loam {

// Tells the processor that this is a loop that waits.
inline void PauseProcessor() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");
#endif
}

// For a loop that waits: Spin() passes a moment and is true, until some 20 us
// have passed: about what it costs to put a thread to sleep and wake it again.
class Spinner {
 public:
  bool Spin() {
    if (left_ == 0) return false;
    left_--;
    PauseProcessor();
    return true;
  }

 private:
  int left_ = 500;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_BASE_SPIN_H_
