// What turns the frames of a heap profile into names: the embedder's callbacks,
// and Abseil for native functions.

#ifndef LOAM_API_PROFILE_CALLBACKS_H_
#define LOAM_API_PROFILE_CALLBACKS_H_

#include "api/internal.h"

namespace loam {

// Puts those that `given` asks for into `callbacks`.
void SetProfileCallbacks(const loam_profile_options& given,
                         Callbacks* callbacks);

// Implemented where a heap's options are kept (heap.cc).
const loam_profile_options& ProfileOptionsOf(Runtime* runtime);

}  // namespace loam

#endif  // LOAM_API_PROFILE_CALLBACKS_H_
