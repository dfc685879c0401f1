// Calls, from the first one to errors: how frames begin, and what is said when
// a program fails.

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "examples/toylang/function_loader.h"
#include "examples/toylang/interpreter.h"
#include "examples/toylang/maps.h"

namespace toylang {
namespace {

constexpr size_t kStackSize = size_t{1} << 20;  // values
constexpr size_t kMaxDepth = 50'000;            // frames
// A Call within a Call uses the native stack.
constexpr size_t kMaxNativeDepth = 200;

constexpr size_t kTraceHead = 10;  // calls shown of a long trace
constexpr size_t kTraceTail = 5;

// Each instruction pushes two values at most.
size_t StackNeeded(const Prototype* prototype) {
  return 2 * prototype->code_count;
}

std::string Times(uint32_t count, const char* what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

}  // namespace

void Interpreter::FreeMemory::operator()(void* memory) const {
  std::free(memory);
}

Interpreter::Interpreter(Heap& heap, std::string file_name,
                         std::vector<std::string> arguments)
    : heap_(heap),
      file_name_(std::move(file_name)),
      arguments_(std::move(arguments)),
      stack_(static_cast<Value*>(std::calloc(kStackSize, sizeof(Value)))),
      top_(stack_.get()),
      stack_end_(stack_.get() + kStackSize),
      frames_(static_cast<Frame*>(std::calloc(kMaxDepth, sizeof(Frame)))) {
  heap_.AddRoots(this, "interpreter");
  heap_.SetCallSource(this);
  heap_.SetProgramFile(file_name_);
  heap_.SetFinalizerCaller([this](Value function, Value object) {
    CallFinalizer(function, object);
  });
}

void Interpreter::VisitRoots(RootVisitor visitor) {
  visitor.Name("stack");
  visitor.Visit(stack_.get(), static_cast<size_t>(top_ - stack_.get()));
  for (size_t i = 0; i < globals_.size(); i++) {
    visitor.Name(global_names_[i].c_str());
    visitor.Visit(&globals_[i], 1);
  }
}

bool Interpreter::DefineGlobals(std::vector<std::string> names) {
  global_names_ = std::move(names);
  globals_.assign(global_names_.size(), Value::Absent());
  size_t i = 0;
  for (const BuiltinInfo& info : GlobalFunctions()) {
    Builtin* builtin = heap_.New<Builtin>();
    if (builtin == nullptr) return FailOutOfMemory();
    builtin->info = &info;
    globals_[i++] = Value::Reference(builtin);
  }
  return true;
}

bool Interpreter::Run(const FunctionCode& program,
                      std::vector<std::string> global_names) {
  if (!DefineGlobals(std::move(global_names))) return false;
  Rooted<Prototype> prototype(heap_, LoadFunction(heap_, program));
  if (!prototype) return FailOutOfMemory();
  Closure* closure = heap_.NewWithTail<Closure>(0);
  if (closure == nullptr) return FailOutOfMemory();
  heap_.Initialize(closure, &closure->prototype, prototype.get());
  Value result;
  return Call(Value::Reference(closure), nullptr, 0, &result);
}

bool Interpreter::Call(Value function, const Value* arguments, size_t count,
                       Value* result) {
  if (native_depth_ == kMaxNativeDepth ||
      static_cast<size_t>(stack_end_ - top_) < count + 1) {
    return Fail("stack overflow");
  }
  Value* const bottom = top_;
  const size_t depth = depth_;
  *top_++ = function;
  top_ = std::copy(arguments, arguments + count, top_);
  native_depth_++;
  // A builtin has run when BeginCall returns; a closure has a frame then.
  const bool succeeded =
      BeginCall(count) && (depth_ == depth || Execute(depth));
  native_depth_--;
  if (succeeded) *result = *bottom;
  top_ = bottom;
  return succeeded;
}

bool Interpreter::BeginCall(size_t count) {
  if (heap_.finalizers_ready()) heap_.RunFinalizers();
  const Value function = top_[-1 - static_cast<ptrdiff_t>(count)];
  if (Closure* closure = TryAs<Closure>(function)) {
    return PushFrame(closure, count);
  }
  if (Builtin* builtin = TryAs<Builtin>(function)) {
    // Its receiver takes its place on the stack. What it needs of the Builtin
    // is static.
    const BuiltinInfo& info = *builtin->info;
    top_[-1 - static_cast<ptrdiff_t>(count)] = builtin->receiver;
    return CallBuiltin(info, count);
  }
  return Fail(std::string("cannot call ") + TypeNameWithArticle(function));
}

bool Interpreter::PushFrame(Closure* closure, size_t count) {
  const Prototype* prototype = closure->prototype;
  if (count != prototype->arity) {
    return Fail(std::string(prototype->name->text()) + " takes " +
                Times(prototype->arity, "argument") + ", not " +
                std::to_string(count));
  }
  if (depth_ == kMaxDepth ||
      static_cast<size_t>(stack_end_ - top_) < StackNeeded(prototype)) {
    return Fail("stack overflow");
  }
  frames_[depth_++] = {top_ - count - 1, prototype->code};
  return true;
}

bool Interpreter::CallBuiltin(const BuiltinInfo& info, size_t count) {
  if (count < info.min_arguments ||
      (count > info.max_arguments && info.max_arguments != kAnyNumber)) {
    std::string expected = std::to_string(info.min_arguments);
    if (info.max_arguments != info.min_arguments) {
      expected += " to " + std::to_string(info.max_arguments);
    }
    return Fail(std::string(info.name) + " takes " + expected +
                " arguments, not " + std::to_string(count));
  }
  Value* const arguments = top_ - count;
  BuiltinCall call(*this, heap_, info, arguments, count);
  if (!info.function(call)) return false;
  arguments[-1] = call.result;
  top_ = arguments;
  return true;
}

// A field of a map comes before a method of that name.
bool Interpreter::Invoke(String* name, size_t count) {
  Value* const receiver = top_ - count - 1;
  if (Map* map = TryAs<Map>(*receiver)) {
    const Value field = MapGet(map, Value::Reference(name));
    if (!field.IsAbsent()) {
      *receiver = field;
      return BeginCall(count);
    }
  }
  const BuiltinInfo* method = FindMethod(*receiver, name);
  if (method == nullptr) {
    return Fail(std::string(TypeNameWithArticle(*receiver)) +
                " has no method '" + std::string(name->text()) + "'");
  }
  return CallBuiltin(*method, count);
}

// The program that happens to run has nothing to do with a finalizer's errors:
// they are reported, and it goes on.
void Interpreter::CallFinalizer(Value function, Value object) {
  Value result;
  if (!Call(function, &object, 1, &result)) {
    std::fflush(stdout);
    std::fprintf(stderr, "in a finalizer: %s", error_.c_str());
  }
}

bool Interpreter::Fail(const std::string& message) {
  error_ = "runtime error: " + message + "\n" + Trace();
  return false;
}

uint32_t Interpreter::LineOf(const Frame& frame) {
  const Prototype* prototype = frame.closure()->prototype;
  // ip is behind the instruction that failed, calls or allocates; in a frame
  // that has just begun it is still in front of the first one.
  const size_t next = static_cast<size_t>(frame.ip - prototype->code);
  return prototype->lines[next == 0 ? 0 : next - 1];
}

size_t Interpreter::ListCalls(ProfiledCall* calls, size_t max) const {
  const size_t count = std::min(depth_, max);
  for (size_t i = 0; i < count; i++) {
    const Frame& frame = frames_[depth_ - 1 - i];
    calls[i] = {frame.closure()->prototype->number, LineOf(frame)};
  }
  return count;
}

std::string Interpreter::Trace() const {
  std::string trace;
  for (size_t i = 0; i < depth_; i++) {
    if (i == kTraceHead && depth_ > kTraceHead + kTraceTail) {
      const size_t left_out = depth_ - kTraceHead - kTraceTail;
      trace += "  ... " + std::to_string(left_out) + " more calls\n";
      i += left_out;
    }
    const Frame& frame = frames_[depth_ - 1 - i];
    trace +=
        "  at " + file_name_ + ":" + std::to_string(LineOf(frame)) + " in ";
    trace += frame.closure()->prototype->name->text();
    trace += '\n';
  }
  return trace;
}

}  // namespace toylang
