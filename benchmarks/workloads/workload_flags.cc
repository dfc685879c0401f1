// The flags that run_workload.h declares.

#include "absl/flags/flag.h"

ABSL_FLAG(double, factor, 2.5,
          "heap size as a multiple of the live size; 0: the peer's own rule");
ABSL_FLAG(int, markers, 1, "threads that mark, where the peer lets one choose");
