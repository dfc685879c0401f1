// The command line of toylang.

#ifndef LOAM_EXAMPLES_TOYLANG_COMMAND_LINE_H_
#define LOAM_EXAMPLES_TOYLANG_COMMAND_LINE_H_

#include <string>
#include <vector>

#include "examples/toylang/heap_bindings.h"

namespace toylang {

struct CommandLine {
  bool help = false;
  bool statistics = false;  // --gc-stats
  HeapOptions heap;
  std::string file;
  std::vector<std::string> arguments;  // of the program
};

extern const char kUsage[];

// False, and a message, if it cannot be understood.
bool ParseCommandLine(int argc, char** argv, CommandLine* command_line,
                      std::string* error);

}  // namespace toylang

#endif  // LOAM_EXAMPLES_TOYLANG_COMMAND_LINE_H_
