#include "examples/toylang/function_loader.h"

#include <algorithm>
#include <cstring>

namespace toylang {
namespace {

// Absent when out of memory.
Value LoadConstant(Heap& heap, const FunctionCode::Constant& constant) {
  if (const double* number = std::get_if<double>(&constant)) {
    return Value::Number(*number);
  }
  const void* object;
  if (const std::string* text = std::get_if<std::string>(&constant)) {
    object = heap.NewString(*text);
  } else {
    object =
        LoadFunction(heap, *std::get<std::unique_ptr<FunctionCode>>(constant));
  }
  return object == nullptr ? Value::Absent() : Value::Reference(object);
}

// A copy of the elements, or null.
template <typename T>
T* LoadArray(Heap& heap, const std::vector<T>& elements) {
  const size_t size = elements.size() * sizeof(T);
  void* copy = heap.NewBytes(size);
  if (copy != nullptr) std::memcpy(copy, elements.data(), size);
  return static_cast<T*>(copy);
}

}  // namespace

Prototype* LoadFunction(Heap& heap, const FunctionCode& function) {
  // The parts first, each rooted while the next one is allocated.
  Rooted<String> name(heap, heap.NewString(function.name));
  if (!name) return nullptr;

  const size_t constant_count = function.constants.size();
  Rooted<Value> constants(heap,
                          heap.NewSlots(std::max<size_t>(constant_count, 1)));
  if (!constants) return nullptr;
  for (size_t i = 0; i < constant_count; i++) {
    const Value constant = LoadConstant(heap, function.constants[i]);
    if (constant.IsAbsent()) return nullptr;
    heap.Store(constants.get(), &constants.get()[i], constant);
  }

  Rooted<Instruction> code(heap, LoadArray(heap, function.code));
  if (!code) return nullptr;
  Rooted<uint32_t> lines(heap, LoadArray(heap, function.lines));
  if (!lines) return nullptr;

  // Then the whole.
  Prototype* prototype = heap.New<Prototype>();
  if (prototype == nullptr) return nullptr;
  prototype->arity = function.arity;
  prototype->code_count = function.code.size();
  prototype->number = heap.NumberFunction(
      function.name, function.lines.empty() ? 0 : function.lines[0]);
  heap.Initialize(prototype, &prototype->name, name.get());
  heap.Initialize(prototype, &prototype->constants, constants.get());
  heap.Initialize(prototype, &prototype->code, code.get());
  heap.Initialize(prototype, &prototype->lines, lines.get());
  return prototype;
}

}  // namespace toylang
