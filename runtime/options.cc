#include "runtime/options.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdlib>
#include <cstring>

#include "runtime/allocation_sampler.h"
#include "runtime/base/bits.h"
#include "runtime/base/embedder_call.h"
#include "runtime/heap/heap_constants.h"

namespace loam {
namespace {

// "64M": bytes with an optional K, M, G or T (powers of 1024). False if it is
// nothing of the kind.
bool ParseBytes(const char* text, uint64_t* bytes) {
  if (text[0] < '0' || text[0] > '9') return false;
  char* end = nullptr;
  errno = 0;
  const uint64_t number = strtoull(text, &end, 10);
  if (errno != 0) return false;
  int shift = 0;
  switch (*end) {
    case 'k':
    case 'K':
      shift = 10;
      break;
    case 'm':
    case 'M':
      shift = 20;
      break;
    case 'g':
    case 'G':
      shift = 30;
      break;
    case 't':
    case 'T':
      shift = 40;
      break;
    default:
      break;
  }
  if (shift != 0) end++;
  if (*end == 'B' || *end == 'b') end++;
  if (*end != '\0' || number > (UINT64_MAX >> shift)) return false;
  *bytes = number << shift;
  return true;
}

// A variable that sets one option, and how the option is printed.
struct Variable {
  const char* name;
  const char* option;
  const char* expects;
  bool (*set)(RuntimeOptions* options, const char* text);
  void (*print)(const RuntimeOptions& options, char* text, size_t bytes);
};

bool ParseSwitch(const char* text, bool* value) {
  if (strcmp(text, "0") != 0 && strcmp(text, "1") != 0) return false;
  *value = text[0] == '1';
  return true;
}

// Words, with commas between them.
bool ParseTrace(const char* text, uint32_t* trace) {
  uint32_t bits = 0;
  if (strcmp(text, "none") != 0) {
    for (const char* word = text;;) {
      const size_t length = strcspn(word, ",");
      const auto is = [&](const char* name) {
        return strlen(name) == length && strncmp(word, name, length) == 0;
      };
      if (is("gc")) {
        bits |= kTraceGc;
      } else if (is("scavenge")) {
        bits |= kTraceScavenge;
      } else {
        return false;
      }
      if (word[length] == '\0') break;
      word += length + 1;
    }
  }
  *trace = bits;
  return true;
}

template <bool CheckOptions::* kField>
constexpr Variable Switch(const char* name, const char* option) {
  return {name, option, "0 or 1",
          [](RuntimeOptions* o, const char* text) {
            return ParseSwitch(text, &(o->check.*kField));
          },
          [](const RuntimeOptions& o, char* text, size_t bytes) {
            snprintf(text, bytes, "%s", o.check.*kField ? "on" : "off");
          }};
}

void PrintLimit(uint64_t value, char* text, size_t bytes) {
  if (value == kNoLimit) {
    snprintf(text, bytes, "none");
  } else {
    snprintf(text, bytes, "%" PRIu64 " bytes", value);
  }
}

constexpr const char* kExpectsBytes = "bytes, like 64M";

constexpr Variable kVariables[] = {
    {"LOAM_GC_PERCENT", "gc_percent", "a whole number up to 100000",
     [](RuntimeOptions* o, const char* text) {
       uint64_t value;
       if (!ParseBytes(text, &value) || value > 100000) return false;
       o->pacer.gc_percent = static_cast<uint32_t>(value);
       return true;
     },
     [](const RuntimeOptions& o, char* text, size_t bytes) {
       snprintf(text, bytes, "%u %%", o.pacer.gc_percent);
     }},
    {"LOAM_MINIMUM_HEAP", "minimum_heap_bytes", kExpectsBytes,
     [](RuntimeOptions* o, const char* text) {
       return ParseBytes(text, &o->pacer.minimum_bytes);
     },
     [](const RuntimeOptions& o, char* text, size_t bytes) {
       PrintLimit(o.pacer.minimum_bytes, text, bytes);
     }},
    {"LOAM_FIXED_HEAP", "fixed_heap_size", kExpectsBytes,
     [](RuntimeOptions* o, const char* text) {
       o->pacer.fixed = true;
       return ParseBytes(text, &o->pacer.fixed_bytes);
     },
     [](const RuntimeOptions& o, char* text, size_t bytes) {
       PrintLimit(o.pacer.fixed ? o.pacer.fixed_bytes : kNoLimit, text, bytes);
     }},
    {"LOAM_HEAP_LIMIT", "heap_limit", kExpectsBytes,
     [](RuntimeOptions* o, const char* text) {
       return ParseBytes(text, &o->heap_limit) && o->heap_limit != 0;
     },
     [](const RuntimeOptions& o, char* text, size_t bytes) {
       PrintLimit(o.heap_limit, text, bytes);
     }},
    {"LOAM_MEMORY_LIMIT", "memory_limit", "bytes, like 64M, or none",
     [](RuntimeOptions* o, const char* text) {
       if (strcmp(text, "none") == 0) {
         o->memory_limit = kNoLimit;
         return true;
       }
       return ParseBytes(text, &o->memory_limit);
     },
     [](const RuntimeOptions& o, char* text, size_t bytes) {
       PrintLimit(o.memory_limit, text, bytes);
     }},
    {"LOAM_WORKERS", "workers", "a whole number up to 15",
     [](RuntimeOptions* o, const char* text) {
       uint64_t value;
       if (!ParseBytes(text, &value) || value > kMaxWorkers) return false;
       o->workers = static_cast<uint32_t>(value);
       return true;
     },
     [](const RuntimeOptions& o, char* text, size_t bytes) {
       snprintf(text, bytes, "%u", o.workers);
     }},
    {"LOAM_HUGE_PAGES", "huge_pages", "0 or 1",
     [](RuntimeOptions* o, const char* text) {
       return ParseSwitch(text, &o->huge_pages);
     },
     [](const RuntimeOptions& o, char* text, size_t bytes) {
       snprintf(text, bytes, "%s", o.huge_pages ? "on" : "off");
     }},
    {"LOAM_RANDOMIZE_BASE", "randomize_base", "0 or 1",
     [](RuntimeOptions* o, const char* text) {
       return ParseSwitch(text, &o->randomize_base);
     },
     [](const RuntimeOptions& o, char* text, size_t bytes) {
       snprintf(text, bytes, "%s", o.randomize_base ? "on" : "off");
     }},
    {"LOAM_BACKGROUND", "background", "0 or 1",
     [](RuntimeOptions* o, const char* text) {
       return ParseSwitch(text, &o->background);
     },
     [](const RuntimeOptions& o, char* text, size_t bytes) {
       snprintf(text, bytes, "%s", o.background ? "on" : "off");
     }},
    {"LOAM_FINALIZE_AT_DESTROY", "finalize_at_destroy", "0 or 1",
     [](RuntimeOptions* o, const char* text) {
       return ParseSwitch(text, &o->finalize_at_destroy);
     },
     [](const RuntimeOptions& o, char* text, size_t bytes) {
       snprintf(text, bytes, "%s", o.finalize_at_destroy ? "on" : "off");
     }},
    {"LOAM_RETAIN_PERCENT", "retain_percent", "a whole number up to 1000",
     [](RuntimeOptions* o, const char* text) {
       uint64_t value;
       if (!ParseBytes(text, &value) || value > kMaxRetainPercent) return false;
       o->retain_percent = static_cast<uint32_t>(value);
       return true;
     },
     [](const RuntimeOptions& o, char* text, size_t bytes) {
       snprintf(text, bytes, "%u %%", o.retain_percent);
     }},
    {"LOAM_TRACE", "trace", "none, or a list of gc and scavenge",
     [](RuntimeOptions* o, const char* text) {
       return ParseTrace(text, &o->trace);
     },
     [](const RuntimeOptions& o, char* text, size_t bytes) {
       const bool gc = (o.trace & kTraceGc) != 0;
       const bool scavenge = (o.trace & kTraceScavenge) != 0;
       snprintf(text, bytes, "%s%s%s", gc ? "gc" : "",
                gc && scavenge ? "," : "",
                scavenge ? "scavenge" : (gc ? "" : "none"));
     }},
    {"LOAM_PROFILE_RATE", "profile_rate", "bytes, like 512K, up to 1T",
     [](RuntimeOptions* o, const char* text) {
       return ParseBytes(text, &o->profile_rate) &&
              o->profile_rate <= kMaxProfileRate;
     },
     [](const RuntimeOptions& o, char* text, size_t bytes) {
       if (o.profile_rate == 0) {
         snprintf(text, bytes, "off");
       } else {
         PrintLimit(o.profile_rate, text, bytes);
       }
     }},
    {"LOAM_STRESS", "check.stress_interval", "a whole number",
     [](RuntimeOptions* o, const char* text) {
       uint64_t value;
       if (!ParseBytes(text, &value) || value > UINT32_MAX) return false;
       o->check.stress_interval = static_cast<uint32_t>(value);
       return true;
     },
     [](const RuntimeOptions& o, char* text, size_t bytes) {
       snprintf(text, bytes, "%u", o.check.stress_interval);
     }},
    {"LOAM_STRESS_PROBABILITY", "check.stress_probability",
     "a number in [0, 1]",
     [](RuntimeOptions* o, const char* text) {
       char* end = nullptr;
       const double value = strtod(text, &end);
       if (end == text || *end != '\0' || !(value >= 0 && value <= 1)) {
         return false;
       }
       o->check.stress_probability = value;
       return true;
     },
     [](const RuntimeOptions& o, char* text, size_t bytes) {
       snprintf(text, bytes, "%g", o.check.stress_probability);
     }},
    {"LOAM_STRESS_SEED", "check.stress_seed", "a whole number",
     [](RuntimeOptions* o, const char* text) {
       return ParseBytes(text, &o->check.stress_seed);
     },
     [](const RuntimeOptions& o, char* text, size_t bytes) {
       snprintf(text, bytes, "%" PRIu64, o.check.stress_seed);
     }},
    Switch<&CheckOptions::poison>("LOAM_POISON", "check.poison"),
    Switch<&CheckOptions::verify_marking>("LOAM_VERIFY",
                                          "check.verify_marking"),
    Switch<&CheckOptions::check_stores>("LOAM_CHECK_STORES",
                                        "check.check_stores"),
    Switch<&CheckOptions::check_threads>("LOAM_CHECK_THREADS",
                                         "check.check_threads"),
    Switch<&CheckOptions::forbid_foreign_references>(
        "LOAM_CHECK_FOREIGN", "check.forbid_foreign_references"),
    Switch<&CheckOptions::abort_on_misuse>("LOAM_ABORT_ON_MISUSE",
                                           "check.abort_on_misuse"),
};

uintptr_t DecodeZero(const ValueEncoding& encoding) {
  uintptr_t address = 0;
  EmbedderCall("the decode callback", [&] { address = encoding.decode(0); });
  return address;
}

}  // namespace

Status ApplyEnvironment(RuntimeOptions* options, ErrorMessage* message) {
  for (const Variable& variable : kVariables) {
    const char* text = getenv(variable.name);
    if (text == nullptr || text[0] == '\0') continue;
    if (!variable.set(options, text)) {
      message->Format(
          "loam_heap_create: environment variable %s: '%s' is not %s",
          variable.name, text, variable.expects);
      return Status::kInvalidArgument;
    }
  }
  return Status::kOk;
}

void ApplyImpliedChecks(CheckOptions* check) {
  if (check->check_stores) check->check_threads = true;
  if (check->check_stores || check->forbid_foreign_references) {
    check->verify_marking = true;
  }
}

void ReportUnknownVariables(void (*report)(void* data, const char* line),
                            void* data) {
  for (char** entry = environ; entry != nullptr && *entry != nullptr; entry++) {
    if (strncmp(*entry, "LOAM_", 5) != 0) continue;
    if (strncmp(*entry, "LOAM_TEST_", 10) == 0) continue;
    const size_t length = strcspn(*entry, "=");
    bool known = false;
    for (const Variable& variable : kVariables) {
      known |= strlen(variable.name) == length &&
               strncmp(variable.name, *entry, length) == 0;
    }
    if (known) continue;
    char line[160];
    snprintf(line, sizeof(line),
             "environment variable %.*s is none of loam's, and ignored",
             static_cast<int>(std::min<size_t>(length, 64)), *entry);
    report(data, line);
  }
}

Status CheckOptionRanges(const RuntimeOptions& o, ErrorMessage* message) {
  const char* argument = nullptr;
  const char* problem = "";
  const ValueEncoding& e = o.encoding;
  if (e.kind == EncodingKind::kLowTag &&
      (e.low_tag_mask > 63 || !IsPowerOfTwo(e.low_tag_mask + 1))) {
    argument = "encoding.low_tag_mask";
    problem = "must be 1, 3, 7, 15, 31 or 63";
  } else if (e.kind == EncodingKind::kNanBox &&
             (e.nanbox_shift >= 64 || e.nanbox_first_tag > e.nanbox_last_tag)) {
    argument = "encoding.nanbox_shift, first_tag, last_tag";
    problem = "must be below 64, and in order";
  } else if (e.kind == EncodingKind::kNanBox && e.nanbox_payload_mask == 0) {
    argument = "encoding.nanbox_payload_mask";
    problem = "must not be 0";
  } else if (e.kind == EncodingKind::kCallback && e.decode == nullptr) {
    argument = "encoding.decode";
    problem = "must not be NULL with LOAM_ENCODING_CALLBACK";
  } else if (e.kind == EncodingKind::kCallback && DecodeZero(e) != 0) {
    argument = "encoding.decode";
    problem = "must answer 0 for the word 0";
  } else if (o.pacer.fixed && o.pacer.fixed_bytes < (1 << 20)) {
    argument = "fixed_heap_size";
    problem = "must be at least 1 MiB with LOAM_POLICY_FIXED";
  } else if (o.workers > kMaxWorkers) {
    argument = "workers";
    problem = "must be at most 15";
  } else if ((o.trace & ~kTraceAll) != 0) {
    argument = "trace";
    problem = "must be bits of loam_trace";
  } else if (o.retain_percent > kMaxRetainPercent) {
    argument = "retain_percent";
    problem = "must be at most 1000";
  } else if (o.profile_rate > kMaxProfileRate) {
    argument = "profile_rate";
    problem = "must be at most 1 TiB";
  } else if (o.heap_limit < (1 << 20)) {
    argument = "heap_limit";
    problem = "must be 0 (none) or at least 1 MiB";
  } else if (!(o.check.stress_probability >= 0 &&
               o.check.stress_probability <= 1)) {
    argument = "check.stress_probability";
    problem = "must lie between 0 and 1";
  } else if (o.check.check_stores && o.raw_stores) {
    argument = "check.check_stores";
    problem = "makes no sense with raw_stores";
  } else if (o.arena_hint >> kAddressBits != 0) {
    argument = "arena_hint";
    problem = kHasUserAddressBits ? "must be below 2^48"
                                  : "must be below 2^37 in this build";
  }
  if (argument == nullptr) return Status::kOk;
  const char* variable = "";
  for (const Variable& v : kVariables) {
    const char* text = getenv(v.name);
    if (strcmp(v.option, argument) == 0 && text != nullptr && *text != '\0') {
      variable = v.name;
    }
  }
  message->Format("loam_heap_create: options.%s %s%s%s", argument, problem,
                  *variable != '\0' ? "; it was set by " : "", variable);
  return Status::kInvalidArgument;
}

void PrintOptions(const RuntimeOptions& options, FILE* out) {
  fprintf(out, "%-34s %s\n", "name", options.name);
  fprintf(out, "%-34s %s\n", "policy",
          options.pacer.fixed ? "fixed size" : "growth");
  for (const Variable& variable : kVariables) {
    char text[64];
    variable.print(options, text, sizeof(text));
    const char* environment = getenv(variable.name);
    const bool from_environment =
        environment != nullptr && environment[0] != '\0';
    fprintf(out, "%-34s %-20s %s%s\n", variable.option, text,
            from_environment ? "from " : "",
            from_environment ? variable.name : "");
  }
}

}  // namespace loam
