#include "runtime/base/fatal.h"

#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace loam {
namespace {

constexpr int kMessageBytes = 1024;

// Which heap this thread works for, and whether it is reporting already (a
// failure while reporting must not recurse).
thread_local const FatalContext* current_context = nullptr;
thread_local bool reporting = false;

void WriteAll(const char* text, int length) {
  while (length > 0) {
    const ssize_t written = write(STDERR_FILENO, text, length);
    if (written <= 0) return;
    text += written;
    length -= static_cast<int>(written);
  }
}

[[noreturn]] void Die(const char* kind, const char* format, va_list arguments) {
  char message[kMessageBytes];
  vsnprintf(message, sizeof(message), format, arguments);
  PrintRaw("loam: %s: %s\n", kind, message);
  if (!reporting && current_context != nullptr) {
    reporting = true;
    current_context->print_state(current_context->data);
    current_context->notify(current_context->data, message);
  }
  abort();
}

}  // namespace

ScopedFatalContext::ScopedFatalContext(const FatalContext* context)
    : previous_(current_context) {
  current_context = context;
}

ScopedFatalContext::~ScopedFatalContext() { current_context = previous_; }

void ResetFatalContext() { current_context = nullptr; }

void PrintRaw(const char* format, ...) {
  char text[kMessageBytes];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  if (length >= kMessageBytes) length = kMessageBytes - 1;
  WriteAll(text, length);
}

void FatalMisuse(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  Die("misuse of the API", format, arguments);
}

void FatalBug(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  Die("internal error", format, arguments);
}

}  // namespace loam
