// toylang: runs a program of the little language on a loam heap.

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "examples/toylang/builtins.h"
#include "examples/toylang/command_line.h"
#include "examples/toylang/compiler.h"
#include "examples/toylang/files.h"
#include "examples/toylang/heap_bindings.h"
#include "examples/toylang/interpreter.h"
#include "examples/toylang/parser.h"
#include "examples/toylang/resolver.h"

namespace toylang {
namespace {

enum ExitStatus {
  kSuccess = 0,
  kRuntimeError = 1,
  kUsageError = 2,
  kSyntaxError = 65,
};

// Shows the line, and a caret below the place.
void PrintSyntaxError(const std::string& file, std::string_view source,
                      const SyntaxError& error) {
  std::fprintf(stderr, "%s:%u:%u: syntax error: %s\n", file.c_str(),
               error.where.line, error.where.column, error.message.c_str());
  for (uint32_t line = 1; line < error.where.line; line++) {
    source.remove_prefix(source.find('\n') + 1);
  }
  const std::string line(source.substr(0, source.find('\n')));
  std::string indent = line.substr(0, error.where.column - 1);
  for (char& c : indent) {
    if (c != '\t') c = ' ';
  }
  std::fprintf(stderr, "  %s\n  %s^\n", line.c_str(), indent.c_str());
}

// Everything up to here is ordinary C++; the heap comes in with the
// interpreter.
int RunProgram(const CommandLine& command_line, const FunctionCode& program,
               std::vector<std::string> global_names) {
  std::string error;
  std::unique_ptr<Heap> heap = Heap::Create(command_line.heap, &error);
  if (heap == nullptr) {
    std::fprintf(stderr, "toylang: cannot make a heap: %s\n", error.c_str());
    return kRuntimeError;
  }
  Interpreter interpreter(*heap, command_line.file, command_line.arguments);
  const bool succeeded = interpreter.Run(program, std::move(global_names));
  std::fflush(stdout);
  if (!succeeded) std::fputs(interpreter.error().c_str(), stderr);
  if (command_line.statistics) heap->PrintSummary();
  return succeeded ? kSuccess : kRuntimeError;
}

int Main(int argc, char** argv) {
  CommandLine command_line;
  std::string error;
  if (!ParseCommandLine(argc, argv, &command_line, &error)) {
    std::fprintf(stderr, "toylang: %s\ntoylang --help explains the usage\n",
                 error.c_str());
    return kUsageError;
  }
  if (command_line.help) {
    std::fputs(kUsage, stdout);
    return kSuccess;
  }
  std::string source;
  if (!ReadFile(command_line.file, &source)) {
    std::fprintf(stderr, "toylang: cannot read %s\n",
                 command_line.file.c_str());
    return kUsageError;
  }

  std::vector<std::string> predefined;
  for (const BuiltinInfo& info : GlobalFunctions()) {
    predefined.push_back(info.name);
  }
  std::unique_ptr<FunctionCode> program;
  Globals globals;
  try {
    const NodePtr tree = Parser(source).Program();
    globals = Resolve(tree.get(), predefined);
    program = Compile(*tree);
  } catch (const SyntaxError& syntax_error) {
    PrintSyntaxError(command_line.file, source, syntax_error);
    return kSyntaxError;
  }
  return RunProgram(command_line, *program, std::move(globals.names));
}

}  // namespace
}  // namespace toylang

int main(int argc, char** argv) { return toylang::Main(argc, argv); }
