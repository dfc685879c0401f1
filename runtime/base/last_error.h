// The calling thread's last failure message: what loam_last_error returns.

#ifndef LOAM_RUNTIME_BASE_LAST_ERROR_H_
#define LOAM_RUNTIME_BASE_LAST_ERROR_H_

#include "runtime/base/status.h"

namespace loam {

void SetLastError(const ErrorMessage& message);
const char* LastError();

}  // namespace loam

#endif  // LOAM_RUNTIME_BASE_LAST_ERROR_H_
