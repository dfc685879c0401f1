#include "runtime/base/last_error.h"

namespace loam {
namespace {

// A property of the thread: failures may have no heap to remember them.
thread_local ErrorMessage last_error;

}  // namespace

void SetLastError(const ErrorMessage& message) { last_error = message; }
const char* LastError() { return last_error.text; }

}  // namespace loam
