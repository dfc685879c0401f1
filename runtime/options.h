// The options of a heap, after defaults and environment variables.

#ifndef LOAM_RUNTIME_OPTIONS_H_
#define LOAM_RUNTIME_OPTIONS_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>

#include "runtime/base/platform.h"
#include "runtime/base/status.h"
#include "runtime/gc/gc_cycle.h"
#include "runtime/gc/value_encoding.h"
#include "runtime/heap/self_check.h"

namespace loam {

class Runtime;
struct CallStack;
struct Mutator;

struct ProfiledFunction {
  const char* name;
  const char* file;
  uint32_t first_line;  // 0: unknown
};

struct CheckOptions {
  uint32_t stress_interval = 0;
  double stress_probability = 0;
  uint64_t stress_seed = 0;
  bool poison = false;
  bool verify_marking = false;
  bool check_stores = false;
  bool check_threads = false;
  bool forbid_foreign_references = false;
  bool abort_on_misuse = false;

  bool stress() const { return stress_interval != 0 || stress_probability > 0; }
  // Whether every allocation must take the slow path.
  bool single_cell_runs() const {
    return stress() || check_stores || check_threads;
  }
};

// What the embedder wants to hear of; each may be NULL. They guard against
// exceptions themselves.
struct Callbacks {
  bool (*out_of_memory)(Runtime* runtime, size_t requested);
  void (*cycle_begin)(Runtime* runtime, const CycleInfo& info);
  void (*cycle_end)(Runtime* runtime, const CycleInfo& info);
  void (*log)(Runtime* runtime, const char* line);
  void (*fatal)(Runtime* runtime, const char* message);
  // Puts the frames of the embedder's language, of the thread that uses `m`,
  // into an empty stack.
  void (*profile_frames)(Mutator* m, CallStack* stack);
  // What the embedder calls a function of these frames; strings that live until
  // the next call, and may be NULL.
  ProfiledFunction (*profile_function)(Runtime* runtime, uintptr_t function);
  // Writes the name of the function at an address of the program; false if it
  // has none.
  bool (*symbolize)(uintptr_t address, char* name, size_t bytes);
  const void* embedder;  // the API's own copy of what the embedder gave
};

constexpr uint64_t kNoLimit = UINT64_MAX;
constexpr uint64_t kMemoryLimitFromCgroup = 0;

constexpr uint32_t kMaxWorkers = MarkPool::kMaxMarkers - 1;

constexpr uint32_t kMaxRetainPercent = 1000;

// What is logged besides warnings.
enum TraceBits : uint32_t {
  kTraceGc = 1u << 0,
  kTraceScavenge = 1u << 1,
  kTraceAll = kTraceGc | kTraceScavenge,
};

struct RuntimeOptions {
  char name[32] = "heap";
  ValueEncoding encoding;
  TypeSet* types = nullptr;
  PacerOptions pacer;
  uint64_t heap_limit = kNoLimit;
  uint64_t memory_limit = kMemoryLimitFromCgroup;
  bool huge_pages = false;
  uint32_t trace = 0;  // of TraceBits
  uint32_t workers = 0;
  bool background = true;  // may work beside the mutators
  Platform platform = {};  // where; none: on threads of the heap's own
  uint32_t retain_percent = 10;
  uintptr_t arena_hint = 0;
  bool randomize_base = false;
  bool raw_stores = false;
  uint64_t profile_rate = 0;  // 0: no samples are taken
  // Also where the embedder has frames of its own.
  bool profile_native_frames = true;
  uintptr_t weak_cleared_word = 0;
  bool finalize_at_destroy = false;
  CheckOptions check;
  Callbacks callbacks = {};
  size_t max_mark_stack_bytes = size_t{1} << 30;  // smaller in tests
  const OsFacts* os_facts = nullptr;  // NULL: ask the OS; others in tests
  const char* cgroup_root = "";       // see cgroup.h
};

// Overrides options by LOAM_* environment variables. kInvalidArgument names the
// variable that cannot be read.
Status ApplyEnvironment(RuntimeOptions* options, ErrorMessage* message);

// Turns on the checks that other checks need.
void ApplyImpliedChecks(CheckOptions* check);

// Calls report for each LOAM_* variable that is none of the above, since it is
// probably a misspelling. (LOAM_TEST_* belongs to tests.)
void ReportUnknownVariables(void (*report)(void* data, const char* line),
                            void* data);

// Checks ranges, and that settings go together.
Status CheckOptionRanges(const RuntimeOptions& options, ErrorMessage* message);

// Prints every option and its value, one a line, marking those that an
// environment variable sets.
void PrintOptions(const RuntimeOptions& options, FILE* out);

}  // namespace loam

#endif  // LOAM_RUNTIME_OPTIONS_H_
