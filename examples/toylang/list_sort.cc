#include "examples/toylang/list_sort.h"

#include <algorithm>
#include <utility>

#include "examples/toylang/heap_bindings.h"
#include "examples/toylang/interpreter.h"
#include "examples/toylang/lists.h"

namespace toylang {
namespace {

bool ComesBefore(BuiltinCall& call, Value function, const Value pair[2],
                 bool* result) {
  if (!function.IsNil()) {
    Value answer;
    if (!call.interpreter.Call(function, pair, 2, &answer)) return false;
    *result = answer.IsTruthy();
    return true;
  }
  const Value a = pair[0];
  const Value b = pair[1];
  if (a.IsNumber() && b.IsNumber()) {
    *result = a.AsNumber() < b.AsNumber();
    return true;
  }
  const String* left = TryAs<String>(a);
  const String* right = TryAs<String>(b);
  if (left == nullptr || right == nullptr) {
    return call.Fail("only numbers or only strings have an order of their own");
  }
  *result = left->text() < right->text();
  return true;
}

// Merges from[start, middle) and from[middle, end) into to[start, end).
bool Merge(BuiltinCall& call, Value function, const Value* from, Value* to,
           size_t start, size_t middle, size_t end) {
  size_t left = start, right = middle;
  for (size_t i = start; i < end; i++) {
    bool take_right = left == middle;
    if (!take_right && right < end) {
      const Value pair[2] = {from[right], from[left]};
      if (!ComesBefore(call, function, pair, &take_right)) return false;
    }
    call.heap.Store(to, &to[i], from[take_right ? right++ : left++]);
  }
  return true;
}

}  // namespace

bool SortList(BuiltinCall& call, List* list, Value comes_before) {
  Heap& heap = call.heap;
  const size_t count = list->count;
  if (count < 2) return true;
  // Works on copies, which keep every element alive whatever the comparison
  // does to the list.
  Rooted<Value> copy(heap, heap.NewSlots(count));
  if (!copy) return call.FailOutOfMemory();
  heap.CopyValues(copy.get(), copy.get(), list->elements, count);
  Rooted<Value> other_copy(heap, heap.NewSlots(count));
  if (!other_copy) return call.FailOutOfMemory();

  Value* from = copy.get();
  Value* to = other_copy.get();
  for (size_t width = 1; width < count; width *= 2) {
    for (size_t start = 0; start < count; start += 2 * width) {
      const size_t middle = std::min(start + width, count);
      const size_t end = std::min(start + 2 * width, count);
      if (!Merge(call, comes_before, from, to, start, middle, end)) {
        return false;
      }
    }
    std::swap(from, to);
  }
  if (list->count != count) {
    return call.Fail("the comparison changed the list");
  }
  heap.CopyValues(list->elements, list->elements, from, count);
  return true;
}

}  // namespace toylang
