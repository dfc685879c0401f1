#include "runtime/base/race_hooks.h"

namespace loam {

#ifdef LOAM_RACE_HOOKS
std::atomic<RaceHook> race_hook{nullptr};
#endif

}  // namespace loam
