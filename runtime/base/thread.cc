#include "runtime/base/thread.h"

#include <csignal>
#include <initializer_list>

namespace loam {

bool StartThread(pthread_t* thread, const char* name, void* (*main)(void*),
                 void* argument) {
  sigset_t blocked;
  sigset_t before;
  sigfillset(&blocked);
  for (const int crash : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT}) {
    sigdelset(&blocked, crash);
  }
  pthread_sigmask(SIG_SETMASK, &blocked, &before);
  const bool started = pthread_create(thread, nullptr, main, argument) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (started) pthread_setname_np(*thread, name);
  return started;
}

}  // namespace loam
