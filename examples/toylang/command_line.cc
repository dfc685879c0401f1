#include "examples/toylang/command_line.h"

#include <charconv>
#include <cstdint>
#include <string_view>

namespace toylang {

const char kUsage[] =
    "usage: toylang [OPTION]... FILE [ARGUMENT]...\n"
    "Runs the program in FILE; args() gives it the arguments.\n"
    "\n"
    "  --gc-stats         report every collection, and a summary, on stderr\n"
    "  --gc-stress=N      collect at every Nth allocation, poison what is\n"
    "                     freed, and check marking and stores: slow\n"
    "  --gc-verify        check marking after every collection\n"
    "  --heap-limit=SIZE  take no more memory than this for the heap; bytes,\n"
    "                     or with K, M or G: --heap-limit=64M\n"
    "  --help             print this\n"
    "\n"
    "exit status: 0, or 1 after a runtime error, 2 after a wrong command\n"
    "line, 65 after a syntax error\n";

namespace {

bool ParseCount(std::string_view text, uint64_t* count) {
  const char* end = text.data() + text.size();
  const std::from_chars_result result =
      std::from_chars(text.data(), end, *count);
  return result.ec == std::errc() && result.ptr == end;
}

// 65536, 64K, 64M, 1G
bool ParseSize(std::string_view text, uint64_t* bytes) {
  constexpr std::string_view kUnits = "KMG";
  int shift = 0;
  if (!text.empty()) {
    const size_t unit = kUnits.find(text.back());
    if (unit != std::string_view::npos) {
      shift = 10 * static_cast<int>(unit + 1);
      text.remove_suffix(1);
    }
  }
  if (!ParseCount(text, bytes) || *bytes > (UINT64_MAX >> shift)) return false;
  *bytes <<= shift;
  return true;
}

bool ParseOption(std::string_view option, CommandLine* command_line,
                 std::string* error) {
  const size_t equals = option.find('=');
  const std::string_view name = option.substr(0, equals);
  const std::string_view value =
      equals == std::string_view::npos ? "" : option.substr(equals + 1);
  if (option == "--help") {
    command_line->help = true;
  } else if (option == "--gc-stats") {
    command_line->statistics = true;
    command_line->heap.report_collections = true;
  } else if (option == "--gc-verify") {
    command_line->heap.verify = true;
  } else if (name == "--gc-stress") {
    uint64_t interval;
    if (!ParseCount(value, &interval) || interval == 0 ||
        interval > UINT32_MAX) {
      *error = "--gc-stress needs a number from 1 on, as in --gc-stress=100";
      return false;
    }
    command_line->heap.stress_interval = static_cast<uint32_t>(interval);
  } else if (name == "--heap-limit") {
    if (!ParseSize(value, &command_line->heap.limit_bytes) ||
        command_line->heap.limit_bytes == 0) {
      *error = "--heap-limit needs a size, as in --heap-limit=64M";
      return false;
    }
  } else {
    *error = "unknown option " + std::string(option);
    return false;
  }
  return true;
}

}  // namespace

bool ParseCommandLine(int argc, char** argv, CommandLine* command_line,
                      std::string* error) {
  int i = 1;
  for (; i < argc && argv[i][0] == '-'; i++) {
    if (!ParseOption(argv[i], command_line, error)) return false;
  }
  if (command_line->help) return true;
  if (i == argc) {
    *error = "which program?";
    return false;
  }
  command_line->file = argv[i];
  command_line->arguments.assign(argv + i + 1, argv + argc);
  return true;
}

}  // namespace toylang
