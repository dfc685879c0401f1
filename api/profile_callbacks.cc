#include "api/profile_callbacks.h"

#include "absl/debugging/symbolize.h"
#include "runtime/base/embedder_call.h"

namespace loam {
namespace {

void CallFrames(Mutator* m, CallStack* stack) {
  const ScopedFatalContext context(m->runtime->fatal_context());
  const loam_profile_options& o = ProfileOptionsOf(m->runtime);
  loam_profile_frame frames[CallStack::kMaxEmbedderFrames];
  size_t count = 0;
  EmbedderCall("the frames callback of the heap profile", [&] {
    count = o.frames(Wrap(m), frames, CallStack::kMaxEmbedderFrames, o.data);
  });
  if (count > CallStack::kMaxEmbedderFrames) {
    FatalMisuse(
        "the frames callback of the heap profile returned %zu, of at most %zu",
        count, CallStack::kMaxEmbedderFrames);
  }
  for (size_t i = 0; i < count; i++) {
    stack->words[2 * i] = frames[i].function;
    stack->words[2 * i + 1] = frames[i].line;
  }
  stack->embedder_frames = static_cast<uint16_t>(count);
}

ProfiledFunction CallDescribe(Runtime* runtime, uintptr_t function) {
  const loam_profile_options& o = ProfileOptionsOf(runtime);
  loam_profile_function description = {};
  EmbedderCall("the describe callback of the heap profile",
               [&] { o.describe(function, &description, o.data); });
  return {description.name, description.file, description.first_line};
}

bool Symbolize(uintptr_t address, char* name, size_t bytes) {
  return absl::Symbolize(reinterpret_cast<const void*>(address), name,
                         static_cast<int>(bytes));
}

}  // namespace

void SetProfileCallbacks(const loam_profile_options& given,
                         Callbacks* callbacks) {
  if (given.frames != nullptr) callbacks->profile_frames = CallFrames;
  if (given.describe != nullptr) callbacks->profile_function = CallDescribe;
  callbacks->symbolize = Symbolize;
}

}  // namespace loam
