// Methods of lists. Some call functions of the program, which may change the
// list or collect: nothing about the list is remembered across such a call.

#include <string>
#include <utility>

#include "examples/toylang/builtins.h"
#include "examples/toylang/interpreter.h"
#include "examples/toylang/list_sort.h"
#include "examples/toylang/lists.h"
#include "examples/toylang/text.h"

namespace toylang {
namespace {

List* Receiver(const BuiltinCall& call) { return call.Receiver<List>(); }

bool Push(BuiltinCall& call) {
  List* list = Receiver(call);
  for (size_t i = 0; i < call.count(); i++) {
    if (!ListPush(call.heap, list, call.Argument(i))) {
      return call.FailOutOfMemory();
    }
  }
  return call.Return(Value::Reference(list));
}

bool Pop(BuiltinCall& call) {
  if (Receiver(call)->count == 0) return call.Fail("the list is empty");
  return call.Return(ListPop(call.heap, Receiver(call)));
}

bool Len(BuiltinCall& call) {
  return call.Return(Value::Number(Receiver(call)->count));
}

bool Sort(BuiltinCall& call) {
  return SortList(call, Receiver(call), call.Argument(0)) &&
         call.Return(Value::Reference(Receiver(call)));
}

Rooted<Object> Root(Heap& heap, Value value) {
  return Rooted<Object>(heap, value.IsReference() ? value.AsObject() : nullptr);
}

// Calls function(element) for each element, and use(element, result), which may
// allocate: the function may have taken the element out of the list, and the
// result is nowhere else yet.
template <typename Use>
bool ForEach(BuiltinCall& call, Use use) {
  for (uint32_t i = 0; i < Receiver(call)->count; i++) {
    const Value element = Receiver(call)->elements[i];
    const auto element_root = Root(call.heap, element);
    Value result;
    if (!call.interpreter.Call(call.Argument(0), &element, 1, &result)) {
      return false;
    }
    const auto result_root = Root(call.heap, result);
    if (!use(element, result)) return call.FailOutOfMemory();
  }
  return true;
}

bool MapElements(BuiltinCall& call) {
  Rooted<List> results(call.heap, NewList(call.heap, Receiver(call)->count));
  if (!results) return call.FailOutOfMemory();
  return ForEach(call,
                 [&](Value, Value result) {
                   return ListPush(call.heap, results.get(), result);
                 }) &&
         call.ReturnObject(results.get());
}

bool Filter(BuiltinCall& call) {
  Rooted<List> results(call.heap, NewList(call.heap, 0));
  if (!results) return call.FailOutOfMemory();
  return ForEach(call,
                 [&](Value element, Value result) {
                   return !result.IsTruthy() ||
                          ListPush(call.heap, results.get(), element);
                 }) &&
         call.ReturnObject(results.get());
}

bool Join(BuiltinCall& call) {
  const List* list = Receiver(call);
  std::string separator;
  if (call.count() > 0) {
    String* argument = call.ObjectArgument<String>(0);
    if (argument == nullptr) return false;
    separator = argument->text();
  }
  std::string text;
  for (uint32_t i = 0; i < list->count; i++) {
    if (i != 0) text += separator;
    text += ValueText(list->elements[i]);
  }
  return call.ReturnObject(call.heap.NewString(text));
}

bool Slice(BuiltinCall& call) {
  const List* list = Receiver(call);
  size_t start, end;
  if (!call.IndexArgument(0, list->count, 0, &start) ||
      !call.IndexArgument(1, list->count, list->count, &end)) {
    return false;
  }
  const size_t count = end > start ? end - start : 0;
  return call.ReturnObject(NewListOf(call.heap, list->elements + start, count));
}

bool Contains(BuiltinCall& call) {
  const List* list = Receiver(call);
  for (uint32_t i = 0; i < list->count; i++) {
    if (ValuesEqual(list->elements[i], call.Argument(0))) {
      return call.Return(Value::Boolean(true));
    }
  }
  return call.Return(Value::Boolean(false));
}

// In place.
bool Reverse(BuiltinCall& call) {
  List* list = Receiver(call);
  for (uint32_t i = 0, j = list->count; i + 1 < j; i++) {
    j--;
    const Value element = list->elements[i];
    ListSet(call.heap, list, i, list->elements[j]);
    ListSet(call.heap, list, j, element);
  }
  return call.Return(Value::Reference(list));
}

constexpr BuiltinInfo kMethods[] = {
    {"push", Push, 1, kAnyNumber},
    {"pop", Pop, 0, 0},
    {"len", Len, 0, 0},
    {"sort", Sort, 0, 1},
    {"map", MapElements, 1, 1},
    {"filter", Filter, 1, 1},
    {"join", Join, 0, 1},
    {"slice", Slice, 1, 2},
    {"contains", Contains, 1, 1},
    {"reverse", Reverse, 0, 0},
};

}  // namespace

std::span<const BuiltinInfo> ListMethods() { return kMethods; }

}  // namespace toylang
