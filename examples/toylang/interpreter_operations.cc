// What instructions do off their fast paths. The operands lie on top of the
// stack, and so stay reachable, until ReplaceOperands puts the result there.

#include <cstring>

#include "examples/toylang/interpreter.h"
#include "examples/toylang/lists.h"
#include "examples/toylang/maps.h"
#include "examples/toylang/weak_functions.h"

namespace toylang {
namespace {

// The index of an element; negative numbers count from the end. False if there
// is no such element.
bool ElementIndex(Value value, size_t count, size_t* index) {
  if (!value.IsNumber()) return false;
  double number = value.AsNumber();
  if (number < 0) number += static_cast<double>(count);
  if (!(number >= 0 && number < static_cast<double>(count))) return false;
  *index = static_cast<size_t>(number);
  return static_cast<double>(*index) == number;
}

std::string Between(const char* verb, Value a, Value b) {
  return std::string("cannot ") + verb + " " + TypeNameWithArticle(a) +
         " and " + TypeNameWithArticle(b);
}

}  // namespace

// `object` is a new object, or null if there was no memory for it.
bool Interpreter::ReplaceOperands(size_t count, const void* object) {
  if (object == nullptr) return FailOutOfMemory();
  top_ -= count;
  *top_++ = Value::Reference(object);
  return true;
}

bool Interpreter::FailArithmetic(const char* verb) {
  return Fail(Between(verb, top_[-2], top_[-1]));
}

bool Interpreter::Add() {
  String* left = TryAs<String>(top_[-2]);
  String* right = TryAs<String>(top_[-1]);
  if (left == nullptr || right == nullptr) {
    return Fail(Between("add", top_[-2], top_[-1]) +
                (left != nullptr || right != nullptr
                     ? "; str(x) makes a string of anything"
                     : ""));
  }
  String* sum = heap_.NewUnfilledString(size_t{left->length} + right->length);
  if (sum != nullptr) {
    std::memcpy(sum->bytes(), left->bytes(), left->length);
    std::memcpy(sum->bytes() + left->length, right->bytes(), right->length);
  }
  return ReplaceOperands(2, sum);
}

bool Interpreter::Compare(Opcode opcode) {
  const String* left = TryAs<String>(top_[-2]);
  const String* right = TryAs<String>(top_[-1]);
  if (left == nullptr || right == nullptr) {
    return Fail(Between("compare", top_[-2], top_[-1]));
  }
  const int order = left->text().compare(right->text());
  bool result;
  switch (opcode) {
    case Opcode::kLess:
      result = order < 0;
      break;
    case Opcode::kLessEqual:
      result = order <= 0;
      break;
    case Opcode::kGreater:
      result = order > 0;
      break;
    default:
      result = order >= 0;
      break;
  }
  top_--;
  top_[-1] = Value::Boolean(result);
  return true;
}

bool Interpreter::LoadIndex() {
  const Value key = top_[-1];
  size_t index;
  if (List* list = TryAs<List>(top_[-2])) {
    if (!ElementIndex(key, list->count, &index)) {
      return Fail("no such element in a list of " +
                  std::to_string(list->count));
    }
    top_--;
    top_[-1] = list->elements[index];
    return true;
  }
  if (Map* map = TryAs<Map>(top_[-2])) {
    const Value value = MapGet(map, key);
    top_--;
    top_[-1] = value.IsAbsent() ? Value::Nil() : value;
    return true;
  }
  if (WeakMap* map = TryAs<WeakMap>(top_[-2])) {
    const Value value = heap_.GetFromWeakMap(map, key);
    top_--;
    top_[-1] = value.IsAbsent() ? Value::Nil() : value;
    return true;
  }
  if (String* string = TryAs<String>(top_[-2])) {
    if (!ElementIndex(key, string->length, &index)) {
      return Fail("no such byte in a string of " +
                  std::to_string(string->length));
    }
    return ReplaceOperands(2, heap_.NewString(string->text().substr(index, 1)));
  }
  return Fail(std::string("cannot index ") + TypeNameWithArticle(top_[-2]));
}

bool Interpreter::StoreIndex() {
  const Value key = top_[-2];
  const Value value = top_[-1];
  if (List* list = TryAs<List>(top_[-3])) {
    size_t index;
    if (!ElementIndex(key, list->count, &index)) {
      return Fail("no such element in a list of " +
                  std::to_string(list->count));
    }
    ListSet(heap_, list, index, value);
  } else if (Map* map = TryAs<Map>(top_[-3])) {
    if (!IsUsableKey(key)) return Fail("nil and nan cannot be keys of a map");
    if (!MapSet(heap_, map, key, value)) return FailOutOfMemory();
  } else if (WeakMap* weak_map = TryAs<WeakMap>(top_[-3])) {
    if (!HasIdentity(key)) {
      return Fail(std::string(TypeNameWithArticle(key)) +
                  " cannot be a key of a weak map");
    }
    if (!heap_.SetInWeakMap(weak_map, key, value)) return FailOutOfMemory();
  } else {
    return Fail(std::string("cannot store into ") +
                TypeNameWithArticle(top_[-3]));
  }
  top_ -= 3;
  return true;
}

bool Interpreter::LoadField(String* name) {
  const Value receiver = top_[-1];
  if (Map* map = TryAs<Map>(receiver)) {
    const Value value = MapGet(map, Value::Reference(name));
    top_[-1] = value.IsAbsent() ? Value::Nil() : value;
    return true;
  }
  // A method without its call: a function bound to the receiver.
  const BuiltinInfo* method = FindMethod(receiver, name);
  if (method == nullptr) {
    return Fail(std::string(TypeNameWithArticle(receiver)) + " has no field '" +
                std::string(name->text()) + "'");
  }
  Builtin* bound = heap_.New<Builtin>();
  if (bound != nullptr) {
    bound->info = method;
    heap_.Initialize(bound, &bound->receiver, receiver);
  }
  return ReplaceOperands(1, bound);
}

bool Interpreter::StoreField(String* name) {
  Map* map = TryAs<Map>(top_[-2]);
  if (map == nullptr) {
    return Fail(std::string("cannot set a field of ") +
                TypeNameWithArticle(top_[-2]));
  }
  if (!MapSet(heap_, map, Value::Reference(name), top_[-1])) {
    return FailOutOfMemory();
  }
  top_ -= 2;
  return true;
}

// A list walks itself, a map a list of its keys.
bool Interpreter::Iterate() {
  if (Map* map = TryAs<Map>(top_[-1])) {
    List* keys = NewList(heap_, map->count);
    if (!ReplaceOperands(1, keys)) return false;
    ForEachEntry(map, [&](Value key, Value) { ListPush(heap_, keys, key); });
  } else if (WeakMap* weak_map = TryAs<WeakMap>(top_[-1])) {
    List* keys = WeakMapKeys(heap_, weak_map);
    if (!ReplaceOperands(1, keys)) return false;
  } else if (TryAs<List>(top_[-1]) == nullptr) {
    return Fail(std::string("cannot iterate over ") +
                TypeNameWithArticle(top_[-1]));
  }
  *top_++ = Value::Number(0);
  return true;
}

bool Interpreter::FailRange() {
  return Fail("range takes numbers, and a step other than 0");
}

bool Interpreter::MakeList(size_t count) {
  return ReplaceOperands(count, NewListOf(heap_, top_ - count, count));
}

bool Interpreter::MakeMap(size_t count) {
  const Value* operands = top_ - 2 * count;
  Map* map = NewMap(heap_, count);
  if (map == nullptr) return FailOutOfMemory();
  // There is room for all entries: MapSet does not allocate, and the map needs
  // no root.
  for (size_t i = 0; i < count; i++) {
    const Value key = operands[2 * i];
    if (!IsUsableKey(key)) return Fail("nil and nan cannot be keys of a map");
    MapSet(heap_, map, key, operands[2 * i + 1]);
  }
  return ReplaceOperands(2 * count, map);
}

bool Interpreter::MakeBox(Value* local) {
  Box* box = heap_.New<Box>();
  if (box == nullptr) return FailOutOfMemory();
  heap_.Initialize(box, &box->value, *local);
  *local = Value::Reference(box);
  return true;
}

bool Interpreter::MakeClosure(Prototype* prototype, const Instruction* captures,
                              size_t count) {
  Closure* closure = heap_.NewWithTail<Closure>(count);
  if (closure == nullptr) return FailOutOfMemory();
  closure->captured_count = static_cast<uint32_t>(count);
  heap_.Initialize(closure, &closure->prototype, prototype);
  const Frame& frame = frames_[depth_ - 1];
  for (size_t i = 0; i < count; i++) {
    const uint32_t index = OperandOf(captures[i]);
    Box* box = OpcodeOf(captures[i]) == Opcode::kCaptureLocal
                   ? TryAs<Box>(frame.base[index])
                   : frame.closure()->captured()[index];
    heap_.Initialize(closure, &closure->captured()[i], box);
  }
  return ReplaceOperands(0, closure);
}

}  // namespace toylang
