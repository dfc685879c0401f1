// Threads of the library's own.

#ifndef LOAM_RUNTIME_BASE_THREAD_H_
#define LOAM_RUNTIME_BASE_THREAD_H_

#include <pthread.h>

namespace loam {

// Starts a thread that takes no signals but those of its own crashes: the
// embedder's are for its own threads. `name` is for debuggers, at most 15
// letters. False if the OS refuses. The caller joins it.
bool StartThread(pthread_t* thread, const char* name, void* (*main)(void*),
                 void* argument);

}  // namespace loam

#endif  // LOAM_RUNTIME_BASE_THREAD_H_
