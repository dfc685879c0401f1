// Functions of the language that refer to objects without keeping them alive,
// or keep them alive without a reference. Their subjects are objects with an
// identity: lists, maps, functions. A number is no object; and of a string
// nobody knows how many copies there are, nor which one a variable holds.

#ifndef LOAM_EXAMPLES_TOYLANG_WEAK_FUNCTIONS_H_
#define LOAM_EXAMPLES_TOYLANG_WEAK_FUNCTIONS_H_

#include "examples/toylang/builtins.h"
#include "examples/toylang/object_types.h"

namespace toylang {

bool NewWeakReference(BuiltinCall& call);
bool NewWeakMap(BuiltinCall& call);

// Of strings too: pins are about memory, not about identity.
bool Pin(BuiltinCall& call);
bool Unpin(BuiltinCall& call);

// The keys that have not died; null when out of memory. The caller keeps `map`
// reachable.
List* WeakMapKeys(Heap& heap, WeakMap* map);

}  // namespace toylang

#endif  // LOAM_EXAMPLES_TOYLANG_WEAK_FUNCTIONS_H_
