#include "api/internal.h"

#include "runtime/base/last_error.h"

namespace loam {
loam_status Report(Runtime* runtime, Status status,
                   const ErrorMessage& message) {
  if (status == Status::kOk) return LOAM_OK;
  SetLastError(message);
  if (runtime != nullptr) runtime->RememberError(status, message);
  return static_cast<loam_status>(status);
}

loam_status ReportProblem(Runtime* runtime, const char* call, Status status,
                          const ErrorMessage& problem) {
  ErrorMessage message;
  message.Format("%s: %.400s", call, problem.text);
  return Report(runtime, status, message);
}

loam_status InvalidArgument(Runtime* runtime, const char* call,
                            const char* argument, const char* problem) {
  ErrorMessage message;
  message.Format("%s: %s: %s", call, argument, problem);
  return Report(runtime, Status::kInvalidArgument, message);
}

loam_status WrongState(Runtime* runtime, const char* call, const char* argument,
                       const char* problem) {
  ErrorMessage message;
  message.Format("%s: %s: %s", call, argument, problem);
  return Report(runtime, Status::kWrongState, message);
}

loam_status NotSupported(Runtime* runtime, const char* call) {
  ErrorMessage message;
  message.Format("%s: not supported yet", call);
  return Report(runtime, Status::kNotSupported, message);
}

void RequireNonNull(const void* argument, const char* call, const char* name) {
  if (argument == nullptr) FatalMisuse("%s: %s is NULL", call, name);
}

void FailNullMutator(const char* call) {
  FatalMisuse("%s: m is NULL: has this thread called loam_mutator_attach?",
              call);
}

}  // namespace loam

extern "C" {

const char* loam_last_error(void) { return loam::LastError(); }

const char* loam_status_name(loam_status status) {
  switch (status) {
    case LOAM_OK:
      return "LOAM_OK";
    case LOAM_INVALID_ARGUMENT:
      return "LOAM_INVALID_ARGUMENT";
    case LOAM_OUT_OF_MEMORY:
      return "LOAM_OUT_OF_MEMORY";
    case LOAM_NOT_SUPPORTED:
      return "LOAM_NOT_SUPPORTED";
    case LOAM_WRONG_STATE:
      return "LOAM_WRONG_STATE";
    case LOAM_NOT_FOUND:
      return "LOAM_NOT_FOUND";
    case LOAM_ABI_MISMATCH:
      return "LOAM_ABI_MISMATCH";
    case LOAM_IO_ERROR:
      return "LOAM_IO_ERROR";
  }
  return "unknown status";
}

uint32_t loam_version(void) {
  return (LOAM_VERSION_MAJOR << 16) | (LOAM_VERSION_MINOR << 8) |
         LOAM_VERSION_PATCH;
}

uint32_t loam_abi(void) { return LOAM_ABI_VERSION; }

}  // extern "C"
