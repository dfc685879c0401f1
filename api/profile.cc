// The heap profile.

#include "api/internal.h"

using namespace loam;  // NOLINT: the functions below are the C API itself.

extern "C" {

loam_status loam_heap_set_profile_rate(loam_heap* heap, uint64_t rate) {
  constexpr char kCall[] = "loam_heap_set_profile_rate";
  if (heap == nullptr)
    return InvalidArgument(nullptr, kCall, "heap", "is NULL");
  if (rate > LOAM_PROFILE_RATE_MAX) {
    return InvalidArgument(Unwrap(heap), kCall, "rate",
                           "must be at most LOAM_PROFILE_RATE_MAX, 1 TiB");
  }
  Unwrap(heap)->sampling_rate()->Set(rate);
  return LOAM_OK;
}

loam_status loam_heap_profile_write(loam_heap* heap, const char* path) {
  constexpr char kCall[] = "loam_heap_profile_write";
  if (heap == nullptr || path == nullptr) {
    return InvalidArgument(Unwrap(heap), kCall,
                           heap == nullptr ? "heap" : "path", "is NULL");
  }
  ErrorMessage problem;
  const Status status = Unwrap(heap)->WriteProfile(path, &problem);
  return ReportProblem(Unwrap(heap), kCall, status, problem);
}

}  // extern "C"
