// How many threads this process has.

#ifndef LOAM_TESTS_SUPPORT_COUNT_THREADS_H_
#define LOAM_TESTS_SUPPORT_COUNT_THREADS_H_

#include <dirent.h>

#include <cstddef>
#include <thread>

namespace loam_test {

inline size_t CountThreads() {
  // ThreadSanitizer adds one of its own when the first is made.
  std::thread([] {}).join();
  DIR* tasks = opendir("/proc/self/task");
  size_t count = 0;
  while (const dirent* entry = readdir(tasks)) count += entry->d_name[0] != '.';
  closedir(tasks);
  return count;
}

}  // namespace loam_test

#endif  // LOAM_TESTS_SUPPORT_COUNT_THREADS_H_
