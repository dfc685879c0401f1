// The objects on the heap, and what the collector needs to know of each.
//
// Every object begins with its kind, because the interpreter asks for it all
// the time; the collector has types of its own (LayoutOf) and never looks at
// it. Reference fields are written through Heap::Store and Heap::Initialize
// (heap_bindings.h) only; everything else with plain stores.

#ifndef LOAM_EXAMPLES_TOYLANG_OBJECT_TYPES_H_
#define LOAM_EXAMPLES_TOYLANG_OBJECT_TYPES_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "api/loam_types.h"
#include "examples/toylang/bytecode.h"
#include "examples/toylang/value.h"

namespace toylang {

enum class ObjectKind : uint32_t {
  kString,
  kList,
  kMap,
  kMapTable,
  kBox,
  kPrototype,
  kClosure,
  kBuiltin,
  kWeakReference,
  kWeakMap,
};
constexpr size_t kObjectKinds = 10;

struct Object {
  ObjectKind kind;
};

// Immutable bytes, directly behind the fixed part.
struct String {
  static constexpr ObjectKind kKind = ObjectKind::kString;
  Object header;
  uint32_t length;
  uint32_t hash;  // 0: not computed yet; see StringHash

  char* bytes() { return reinterpret_cast<char*>(this + 1); }
  std::string_view text() const {
    return {reinterpret_cast<const char*>(this + 1), length};
  }
};

// Elements live in a slots object of their own, so that a list can grow
// without changing its identity.
struct List {
  static constexpr ObjectKind kKind = ObjectKind::kList;
  Object header;
  uint32_t count;
  uint32_t capacity;
  Value* elements;  // null while capacity is 0
};

// The hash table of a map. Entries are in order of insertion; each also holds
// the head of the bucket with the same index, so that one object does for
// both. Links are entry indexes plus one; 0 ends a chain.
struct MapEntry {
  Value key;  // absent: removed
  Value value;
  uint32_t next;
  uint32_t bucket_head;
};
struct MapTable {
  static constexpr ObjectKind kKind = ObjectKind::kMapTable;
  Object header;
  uint32_t capacity;  // a power of two
  uint32_t used;      // entries in use, removed ones included
  uint32_t unused;

  MapEntry* entries() { return reinterpret_cast<MapEntry*>(this + 1); }
};

struct Map {
  static constexpr ObjectKind kKind = ObjectKind::kMap;
  Object header;
  uint32_t count;
  MapTable* table;  // null until the first entry
};

// A variable that some closure captures: the function that declares it and
// the closures share the box.
struct Box {
  static constexpr ObjectKind kKind = ObjectKind::kBox;
  Object header;
  Value value;
};

// A compiled function, without the variables it captures.
struct Prototype {
  static constexpr ObjectKind kKind = ObjectKind::kPrototype;
  Object header;
  uint32_t arity;
  String* name;
  Value* constants;     // a slots object
  Instruction* code;    // a bytes object
  uint32_t* lines;      // a bytes object: the line of each instruction
  uint64_t code_count;  // instructions
  uint32_t number;      // Heap::NumberFunction
};

// A function value; the captured boxes follow.
struct Closure {
  static constexpr ObjectKind kKind = ObjectKind::kClosure;
  Object header;
  uint32_t captured_count;
  Prototype* prototype;

  Box** captured() { return reinterpret_cast<Box**>(this + 1); }
};

// A function written in C++, or a method of a value, bound to it. The
// description is static memory: to the collector, data.
struct BuiltinInfo;
struct Builtin {
  static constexpr ObjectKind kKind = ObjectKind::kBuiltin;
  Object header;
  const BuiltinInfo* info;
  Value receiver;  // nil for plain functions
};

// Refers to an object without keeping it alive. The target is written once, by
// Heap::NewWeakReference, and read through Heap::Target only.
struct WeakReference {
  static constexpr ObjectKind kKind = ObjectKind::kWeakReference;
  Object header;
  Value target;  // nil once it has died: weak_cleared_word in heap_bindings.cc
};

// A map whose entries go with their keys. loam's own map has no kind for the
// interpreter to look at, so it hangs on an object that has.
struct WeakMap {
  static constexpr ObjectKind kKind = ObjectKind::kWeakMap;
  Object header;
  void* entries;  // a loam_weak_map
};

// The description of a kind for loam_type_register.
loam_type_info LayoutOf(ObjectKind kind);

// The value as a T*, or null if it is something else.
template <typename T>
T* TryAs(Value value) {
  if (!value.IsReference() || value.AsObject()->kind != T::kKind) {
    return nullptr;
  }
  return reinterpret_cast<T*>(value.AsObject());
}

// Whether the value is an object of its own: not a number or the like, nor a
// string, of which there may be several copies that count as one.
bool HasIdentity(Value value);
// Those, for messages.
inline constexpr char kTypesWithIdentity[] =
    "a list, a map, a function, a weak reference or a weak map";

// "number", "list" and so on, as type(x) returns it.
const char* TypeName(Value value);
// With its article, for messages: "a number", "nil".
const char* TypeNameWithArticle(Value value);

uint32_t HashBytes(std::string_view bytes);  // never 0
uint32_t StringHash(String* string);

// Numbers by value, strings by content, all else by identity.
bool ValuesEqual(Value a, Value b);

}  // namespace toylang

#endif  // LOAM_EXAMPLES_TOYLANG_OBJECT_TYPES_H_
