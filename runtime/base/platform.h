// Where a heap's work beside its mutators runs: on threads of its own, or, if
// the embedder has some, on his.

#ifndef LOAM_RUNTIME_BASE_PLATFORM_H_
#define LOAM_RUNTIME_BASE_PLATFORM_H_

#include <cstdint>

namespace loam {

using Task = void (*)(void* argument);

struct Platform {
  // Has task(argument) run once, `delay_ns` from now or later, on a thread that
  // holds nothing. May be called on any thread. False: it will not run. NULL:
  // heaps make threads of their own.
  bool (*post)(void* data, Task task, void* argument,
               uint64_t delay_ns) = nullptr;
  void* data = nullptr;

  bool exists() const { return post != nullptr; }
  bool Post(Task task, void* argument, uint64_t delay_ns) const {
    return post(data, task, argument, delay_ns);
  }
};

}  // namespace loam

#endif  // LOAM_RUNTIME_BASE_PLATFORM_H_
