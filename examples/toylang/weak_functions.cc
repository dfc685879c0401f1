#include "examples/toylang/weak_functions.h"

#include <cstdint>
#include <string>

#include "examples/toylang/lists.h"
#include "examples/toylang/object_types.h"

namespace toylang {
namespace {

constexpr char kTypesWithMemory[] =
    "a string, a list, a map, a function, a weak reference or a weak map";

// ---- Weak references

bool GetTarget(BuiltinCall& call) {
  return call.Return(call.heap.Target(call.Receiver<WeakReference>()));
}

constexpr BuiltinInfo kWeakReferenceMethods[] = {
    {"get", GetTarget, 0, 0},
};

// ---- Weak maps

WeakMap* Receiver(const BuiltinCall& call) { return call.Receiver<WeakMap>(); }

bool Get(BuiltinCall& call) {
  const Value value =
      call.heap.GetFromWeakMap(Receiver(call), call.Argument(0));
  return call.Return(value.IsAbsent() ? call.Argument(1) : value);
}

bool Set(BuiltinCall& call) {
  if (!HasIdentity(call.Argument(0))) {
    return call.FailArgument(0, kTypesWithIdentity);
  }
  if (!call.heap.SetInWeakMap(Receiver(call), call.Argument(0),
                              call.Argument(1))) {
    return call.FailOutOfMemory();
  }
  return call.Return(Value::Reference(Receiver(call)));
}

bool Has(BuiltinCall& call) {
  const Value value =
      call.heap.GetFromWeakMap(Receiver(call), call.Argument(0));
  return call.Return(Value::Boolean(!value.IsAbsent()));
}

bool Remove(BuiltinCall& call) {
  return call.Return(Value::Boolean(
      call.heap.RemoveFromWeakMap(Receiver(call), call.Argument(0))));
}

bool Len(BuiltinCall& call) {
  const size_t count = call.heap.CountOfWeakMap(Receiver(call));
  return call.Return(Value::Number(static_cast<double>(count)));
}

// A list of choose(key, value) for every entry; null when out of memory.
template <typename Choose>
List* ListOf(Heap& heap, WeakMap* map, Choose choose) {
  // Making the list may collect, and so take entries away, but adds none: there
  // is room for all, and nothing below allocates.
  List* list = NewList(heap, heap.CountOfWeakMap(map));
  if (list == nullptr) return nullptr;
  heap.WalkWeakMap(map, [&](Value key, Value value) {
    ListPush(heap, list, choose(key, value));
  });
  return list;
}

bool Keys(BuiltinCall& call) {
  return call.ReturnObject(WeakMapKeys(call.heap, Receiver(call)));
}

bool Values(BuiltinCall& call) {
  return call.ReturnObject(ListOf(call.heap, Receiver(call),
                                  [](Value, Value value) { return value; }));
}

constexpr BuiltinInfo kWeakMapMethods[] = {
    {"get", Get, 1, 2},       {"set", Set, 2, 2}, {"has", Has, 1, 1},
    {"remove", Remove, 1, 1}, {"len", Len, 0, 0}, {"keys", Keys, 0, 0},
    {"values", Values, 0, 0},
};

}  // namespace

std::span<const BuiltinInfo> WeakReferenceMethods() {
  return kWeakReferenceMethods;
}

std::span<const BuiltinInfo> WeakMapMethods() { return kWeakMapMethods; }

List* WeakMapKeys(Heap& heap, WeakMap* map) {
  return ListOf(heap, map, [](Value key, Value) { return key; });
}

bool NewWeakReference(BuiltinCall& call) {
  if (!HasIdentity(call.Argument(0))) {
    return call.FailArgument(0, kTypesWithIdentity);
  }
  return call.ReturnObject(call.heap.NewWeakReference(call.Argument(0)));
}

bool NewWeakMap(BuiltinCall& call) {
  return call.ReturnObject(call.heap.NewWeakMap());
}

// ---- Pins

// Returns what native code would be given: the address of a string's bytes, or
// of the object.
bool Pin(BuiltinCall& call) {
  const Value value = call.Argument(0);
  if (!value.IsReference()) return call.FailArgument(0, kTypesWithMemory);
  if (!call.heap.Pin(value.AsObject())) return call.FailOutOfMemory();
  String* string = TryAs<String>(value);
  const void* address = value.AsObject();
  if (string != nullptr) address = string->bytes();
  return call.Return(
      Value::Number(static_cast<double>(reinterpret_cast<uintptr_t>(address))));
}

bool Unpin(BuiltinCall& call) {
  const Value value = call.Argument(0);
  if (!value.IsReference()) return call.FailArgument(0, kTypesWithMemory);
  if (!call.heap.Unpin(value.AsObject())) {
    const std::string message =
        std::string("the ") + TypeName(value) + " is not pinned";
    return call.Fail(message.c_str());
  }
  return call.Return(Value::Nil());
}

}  // namespace toylang
