// The functions that every program finds defined.

#include <chrono>
#include <cmath>
#include <cstdio>
#include <string>

#include "examples/toylang/builtins.h"
#include "examples/toylang/files.h"
#include "examples/toylang/interpreter.h"
#include "examples/toylang/lists.h"
#include "examples/toylang/maps.h"
#include "examples/toylang/text.h"
#include "examples/toylang/weak_functions.h"

namespace toylang {
namespace {

// ---- Input and output

bool Print(BuiltinCall& call) {
  std::string line;
  for (size_t i = 0; i < call.count(); i++) {
    if (i != 0) line += ' ';
    line += ValueText(call.Argument(i));
  }
  line += '\n';
  std::fwrite(line.data(), 1, line.size(), stdout);
  return call.Return(Value::Nil());
}

bool ReadFileText(BuiltinCall& call) {
  String* argument = call.ObjectArgument<String>(0);
  if (argument == nullptr) return false;
  // Reading may take long. Meanwhile collections need not wait for this
  // thread, so it works on copies outside the heap.
  const std::string path(argument->text());
  std::string content;
  bool succeeded;
  {
    NativeSection native(call.heap);
    succeeded = ReadFile(path, &content);
  }
  if (!succeeded) return call.Fail(("cannot read " + path).c_str());
  return call.ReturnObject(call.heap.NewString(content));
}

bool Args(BuiltinCall& call) {
  const std::vector<std::string>& arguments = call.interpreter.arguments();
  Rooted<List> list(call.heap, NewList(call.heap, arguments.size()));
  if (!list) return call.FailOutOfMemory();
  for (const std::string& argument : arguments) {
    String* string = call.heap.NewString(argument);
    if (string == nullptr) return call.FailOutOfMemory();
    // There is room, so this allocates nothing and the string needs no root.
    ListPush(call.heap, list.get(), Value::Reference(string));
  }
  return call.ReturnObject(list.get());
}

bool Clock(BuiltinCall& call) {
  const std::chrono::duration<double> now =
      std::chrono::steady_clock::now().time_since_epoch();
  return call.Return(Value::Number(now.count()));
}

// ---- Values

bool Str(BuiltinCall& call) {
  if (TryAs<String>(call.Argument(0)) != nullptr) {
    return call.Return(call.Argument(0));
  }
  return call.ReturnObject(call.heap.NewString(ValueText(call.Argument(0))));
}

bool Num(BuiltinCall& call) {
  String* string = call.ObjectArgument<String>(0);
  if (string == nullptr) return false;
  double number;
  if (!ParseNumber(string->text(), &number)) return call.Return(Value::Nil());
  return call.Return(Value::Number(number));
}

bool Type(BuiltinCall& call) {
  return call.ReturnObject(call.heap.NewString(TypeName(call.Argument(0))));
}

bool Chr(BuiltinCall& call) {
  double code;
  if (!call.NumberArgument(0, &code)) return false;
  if (!(code >= 0 && code <= 255)) return call.Fail("a byte is 0 to 255");
  const char byte = static_cast<char>(static_cast<unsigned char>(code));
  return call.ReturnObject(call.heap.NewString({&byte, 1}));
}

bool Error(BuiltinCall& call) {
  return call.interpreter.Fail(ValueText(call.Argument(0)));
}

bool Range(BuiltinCall& call) {
  double bounds[3] = {0, 0, 1};
  for (size_t i = 0; i < call.count(); i++) {
    if (!call.NumberArgument(i, &bounds[i])) return false;
  }
  if (call.count() == 1) std::swap(bounds[0], bounds[1]);
  const auto [start, limit, step] = bounds;
  const double count = std::ceil((limit - start) / step);
  if (step == 0 || std::isnan(count)) return call.Fail("no such range");
  if (count > UINT32_MAX) return call.FailOutOfMemory();
  List* list = NewList(call.heap, count > 0 ? static_cast<size_t>(count) : 0);
  if (list == nullptr) return call.FailOutOfMemory();
  for (uint32_t i = 0; i < list->capacity; i++) {
    ListPush(call.heap, list, Value::Number(start + i * step));
  }
  return call.ReturnObject(list);
}

// ---- Mathematics

template <double (*function)(double)>
bool Mathematics(BuiltinCall& call) {
  double number;
  if (!call.NumberArgument(0, &number)) return false;
  return call.Return(Value::Number(function(number)));
}

template <double (*function)(double, double)>
bool Mathematics(BuiltinCall& call) {
  double result;
  if (!call.NumberArgument(0, &result)) return false;
  for (size_t i = 1; i < call.count(); i++) {
    double number;
    if (!call.NumberArgument(i, &number)) return false;
    result = function(result, number);
  }
  return call.Return(Value::Number(result));
}

// ---- The heap

// Finalizers run here, where the program expects it, and not only at the next
// call or loop.
bool Gc(BuiltinCall& call) {
  call.heap.Collect();
  call.heap.RunFinalizers();
  return call.Return(Value::Nil());
}

bool HeapStatistics(BuiltinCall& call) {
  Rooted<Map> map(call.heap, NewMap(call.heap, 0));
  if (!map) return call.FailOutOfMemory();
  for (const auto& [name, number] : call.heap.Statistics()) {
    Rooted<String> key(call.heap, call.heap.NewString(name));
    if (!key || !MapSet(call.heap, map.get(), Value::Reference(key.get()),
                        Value::Number(number))) {
      return call.FailOutOfMemory();
    }
  }
  return call.ReturnObject(map.get());
}

// heap_map and heap_snapshot: `write` writes a file.
bool WriteHeapFile(BuiltinCall& call,
                   std::string (Heap::*write)(const std::string& path)) {
  String* path = call.ObjectArgument<String>(0);
  if (path == nullptr) return false;
  const std::string problem = (call.heap.*write)(std::string(path->text()));
  if (!problem.empty()) return call.Fail(problem.c_str());
  return call.Return(Value::Nil());
}

bool HeapMap(BuiltinCall& call) { return WriteHeapFile(call, &Heap::WriteMap); }

bool HeapSnapshot(BuiltinCall& call) {
  return WriteHeapFile(call, &Heap::WriteSnapshot);
}

bool HeapProfile(BuiltinCall& call) {
  String* path = call.ObjectArgument<String>(0);
  if (path == nullptr) return false;
  const std::string problem = call.heap.WriteProfile(std::string(path->text()));
  if (!problem.empty()) return call.Fail(problem.c_str());
  return call.Return(Value::Nil());
}

bool Finalizer(BuiltinCall& call) {
  const Value object = call.Argument(0);
  const Value function = call.Argument(1);
  if (!HasIdentity(object)) {
    return call.FailArgument(0, kTypesWithIdentity);
  }
  if (!function.IsNil() && TryAs<Closure>(function) == nullptr &&
      TryAs<Builtin>(function) == nullptr) {
    return call.FailArgument(1, "a function or nil");
  }
  if (!call.heap.SetFinalizer(object.AsObject(), function)) {
    return call.FailOutOfMemory();
  }
  return call.Return(object);
}

constexpr BuiltinInfo kFunctions[] = {
    {"print", Print, 0, kAnyNumber},
    {"read_file", ReadFileText, 1, 1},
    {"args", Args, 0, 0},
    {"clock", Clock, 0, 0},
    {"str", Str, 1, 1},
    {"num", Num, 1, 1},
    {"type", Type, 1, 1},
    {"chr", Chr, 1, 1},
    {"error", Error, 1, 1},
    {"range", Range, 1, 3},
    {"floor", Mathematics<std::floor>, 1, 1},
    {"ceil", Mathematics<std::ceil>, 1, 1},
    {"sqrt", Mathematics<std::sqrt>, 1, 1},
    {"abs", Mathematics<std::fabs>, 1, 1},
    {"pow", Mathematics<std::pow>, 2, 2},
    {"min", Mathematics<std::fmin>, 1, kAnyNumber},
    {"max", Mathematics<std::fmax>, 1, kAnyNumber},
    {"gc", Gc, 0, 0},
    {"heap", HeapStatistics, 0, 0},
    {"heap_map", HeapMap, 1, 1},
    {"heap_snapshot", HeapSnapshot, 1, 1},
    {"heap_profile", HeapProfile, 1, 1},
    {"finalizer", Finalizer, 2, 2},
    {"weak", NewWeakReference, 1, 1},
    {"weakmap", NewWeakMap, 0, 0},
    {"pin", Pin, 1, 1},
    {"unpin", Unpin, 1, 1},
};

}  // namespace

std::span<const BuiltinInfo> GlobalFunctions() { return kFunctions; }

}  // namespace toylang
