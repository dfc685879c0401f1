// Methods of maps.

#include "examples/toylang/builtins.h"
#include "examples/toylang/lists.h"
#include "examples/toylang/maps.h"

namespace toylang {
namespace {

Map* Receiver(const BuiltinCall& call) { return call.Receiver<Map>(); }

bool Get(BuiltinCall& call) {
  const Value value = MapGet(Receiver(call), call.Argument(0));
  return call.Return(value.IsAbsent() ? call.Argument(1) : value);
}

bool Set(BuiltinCall& call) {
  if (!IsUsableKey(call.Argument(0))) {
    return call.FailArgument(0, "a key other than nil and nan");
  }
  if (!MapSet(call.heap, Receiver(call), call.Argument(0), call.Argument(1))) {
    return call.FailOutOfMemory();
  }
  return call.Return(Value::Reference(Receiver(call)));
}

bool Has(BuiltinCall& call) {
  return call.Return(
      Value::Boolean(!MapGet(Receiver(call), call.Argument(0)).IsAbsent()));
}

bool Remove(BuiltinCall& call) {
  return call.Return(
      Value::Boolean(MapRemove(call.heap, Receiver(call), call.Argument(0))));
}

bool Len(BuiltinCall& call) {
  return call.Return(Value::Number(Receiver(call)->count));
}

// A list of choose(key, value) for every entry.
template <typename Choose>
bool ReturnList(BuiltinCall& call, Choose choose) {
  Map* map = Receiver(call);
  List* list = NewList(call.heap, map->count);
  if (list == nullptr) return call.FailOutOfMemory();
  // There is room for all: nothing below allocates.
  ForEachEntry(map, [&](Value key, Value value) {
    ListPush(call.heap, list, choose(key, value));
  });
  return call.ReturnObject(list);
}

bool Keys(BuiltinCall& call) {
  return ReturnList(call, [](Value key, Value) { return key; });
}

bool Values(BuiltinCall& call) {
  return ReturnList(call, [](Value, Value value) { return value; });
}

constexpr BuiltinInfo kMethods[] = {
    {"get", Get, 1, 2},       {"set", Set, 2, 2}, {"has", Has, 1, 1},
    {"remove", Remove, 1, 1}, {"len", Len, 0, 0}, {"keys", Keys, 0, 0},
    {"values", Values, 0, 0},
};

}  // namespace

std::span<const BuiltinInfo> MapMethods() { return kMethods; }

}  // namespace toylang
