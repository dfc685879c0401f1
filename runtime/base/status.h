// Results of operations that an embedder can recover from. The values are those
// of loam_status.

#ifndef LOAM_RUNTIME_BASE_STATUS_H_
#define LOAM_RUNTIME_BASE_STATUS_H_

#include <cstdarg>
#include <cstdio>

namespace loam {

enum class [[nodiscard]] Status {
  kOk = 0,
  kInvalidArgument = 1,
  kOutOfMemory = 2,
  kNotSupported = 3,
  kWrongState = 4,
  kNotFound = 5,
  kAbiMismatch = 6,
  kIoError = 7,
};

// A message built without allocating.
struct ErrorMessage {
  char text[512];

  // The rest is written when there is something to say.
  ErrorMessage() { text[0] = '\0'; }

  void Format(const char* format, ...) __attribute__((format(printf, 2, 3))) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
  }
};

}  // namespace loam

#endif  // LOAM_RUNTIME_BASE_STATUS_H_
