// Answers why an object is alive: to the embedder step by step, or to the log.

#include <cstdio>

#include "runtime/base/embedder_call.h"
#include "runtime/retaining_paths.h"
#include "runtime/stopped_world.h"

namespace loam {
namespace {

// Of a longer path the log gets the two ends, so many steps each.
constexpr size_t kLoggedSteps = 50;
constexpr size_t kLineBytes = 512;

// Builds the path to an object and calls use(paths, cell), inside the stop.
template <typename Use>
Status WithPath(Runtime* runtime, Mutator* m, uintptr_t address,
                ErrorMessage* message, Use&& use) {
  runtime->sweeper()->SweepAll();
  const StoppedWorld stopped(runtime, m);
  Status status = Status::kOk;
  EmbedderCall("a trace or decode callback", [&] {
    RetainingPaths paths(runtime->page_heap(), runtime->options().encoding);
    const uintptr_t cell = paths.CellOf(address);
    if (cell == 0) {
      message->Format("object: no object lives at %p",
                      reinterpret_cast<void*>(address));
      status = Status::kInvalidArgument;
    } else if (!paths.Build(runtime->cycle())) {
      message->Format("out of memory for its tables");
      status = Status::kOutOfMemory;
    } else if (!paths.Find(cell)) {
      message->Format("object: no root reaches the object at %p",
                      reinterpret_cast<void*>(address));
      status = Status::kNotFound;
    } else {
      use(paths, cell);
    }
  });
  return status;
}

void LogStep(Runtime* runtime, const PathStep& step) {
  char line[kLineBytes];
  char name[kLineBytes / 2];
  if (step.root_kind != nullptr) {
    const auto quoted = [](const char* text) {
      return text[0] != '\0' ? "'" : "";
    };
    snprintf(line, sizeof(line), "  %s%s%s%s%s%s%s%s%.200s%s",
             step.root_thread[0] != '\0' ? "thread " : "",
             quoted(step.root_thread), step.root_thread,
             quoted(step.root_thread), step.root_thread[0] != '\0' ? ", " : "",
             step.root_kind, step.root_name[0] != '\0' ? " " : "",
             quoted(step.root_name), step.root_name, quoted(step.root_name));
    runtime->Log(line);
  }
  const Span& span = *runtime->page_heap()->FindSpan(step.to);
  const std::string_view slot = WriteSlotName(step.name, name, sizeof(name));
  snprintf(line, sizeof(line), "  %.*s -> %.200s at %p (%zu bytes)",
           static_cast<int>(slot.size()), slot.data(),
           NameOfObject(span, step.to), reinterpret_cast<void*>(step.to),
           step.to_bytes);
  runtime->Log(line);
}

}  // namespace

Status Runtime::FindPath(Mutator* m, uintptr_t address,
                         bool (*visit)(const PathStep& step, void* data),
                         void* data, ErrorMessage* message) {
  const ScopedFatalContext context(&fatal_context_);
  return WithPath(this, m, address, message,
                  [&](RetainingPaths& paths, uintptr_t) {
                    for (size_t i = 0; i < paths.length(); i++) {
                      if (!visit(paths.Step(i), data)) break;
                    }
                  });
}

Status Runtime::LogPath(Mutator* m, uintptr_t address, ErrorMessage* message) {
  const ScopedFatalContext context(&fatal_context_);
  return WithPath(
      this, m, address, message, [&](RetainingPaths& paths, uintptr_t cell) {
        char line[kLineBytes];
        snprintf(line, sizeof(line), "the %.200s at %p is alive because of",
                 NameOfObject(*page_heap_.FindSpan(cell), cell),
                 reinterpret_cast<void*>(cell));
        Log(line);
        for (size_t i = 0; i < paths.length(); i++) {
          const size_t left_out = paths.length() - 2 * kLoggedSteps;
          if (paths.length() > 2 * kLoggedSteps && i == kLoggedSteps) {
            snprintf(line, sizeof(line), "  ... %zu more", left_out);
            Log(line);
            i += left_out;
          }
          LogStep(this, paths.Step(i));
        }
      });
}

}  // namespace loam
