#include "examples/toylang/builtins.h"

#include <array>
#include <string>

#include "examples/toylang/interpreter.h"

namespace toylang {
namespace {

// Methods by name, in a small hash table made once.
class MethodTable {
 public:
  explicit MethodTable(std::span<const BuiltinInfo> methods) {
    for (const BuiltinInfo& method : methods) {
      *Find(method.name, HashBytes(method.name)) = &method;
    }
  }

  // Where the method is, or where there is none.
  const BuiltinInfo** Find(std::string_view name, uint32_t hash) {
    size_t i = hash % slots_.size();
    while (slots_[i] != nullptr && slots_[i]->name != name) {
      i = (i + 1) % slots_.size();
    }
    return &slots_[i];
  }

 private:
  std::array<const BuiltinInfo*, 64> slots_ = {};
};

}  // namespace

const BuiltinInfo* FindMethod(Value receiver, String* name) {
  static MethodTable string_methods(StringMethods());
  static MethodTable list_methods(ListMethods());
  static MethodTable map_methods(MapMethods());
  static MethodTable weak_reference_methods(WeakReferenceMethods());
  static MethodTable weak_map_methods(WeakMapMethods());
  if (!receiver.IsReference()) return nullptr;
  switch (receiver.AsObject()->kind) {
    case ObjectKind::kString:
      return *string_methods.Find(name->text(), StringHash(name));
    case ObjectKind::kList:
      return *list_methods.Find(name->text(), StringHash(name));
    case ObjectKind::kMap:
      return *map_methods.Find(name->text(), StringHash(name));
    case ObjectKind::kWeakReference:
      return *weak_reference_methods.Find(name->text(), StringHash(name));
    case ObjectKind::kWeakMap:
      return *weak_map_methods.Find(name->text(), StringHash(name));
    default:
      return nullptr;
  }
}

bool BuiltinCall::Fail(const char* message) {
  return interpreter.Fail(std::string(info_.name) + ": " + message);
}

bool BuiltinCall::FailOutOfMemory() { return interpreter.FailOutOfMemory(); }

bool BuiltinCall::FailArgument(size_t i, const char* expected) {
  const std::string message = "argument " + std::to_string(i + 1) +
                              " must be " + expected + ", not " +
                              TypeNameWithArticle(Argument(i));
  return Fail(message.c_str());
}

const char* BuiltinCall::KindWithArticle(ObjectKind kind) {
  switch (kind) {
    case ObjectKind::kString:
      return "a string";
    case ObjectKind::kList:
      return "a list";
    case ObjectKind::kMap:
      return "a map";
    default:
      return "a function";
  }
}

bool BuiltinCall::NumberArgument(size_t i, double* number) {
  if (!Argument(i).IsNumber()) return FailArgument(i, "a number");
  *number = Argument(i).AsNumber();
  return true;
}

bool BuiltinCall::IndexArgument(size_t i, size_t size, size_t otherwise,
                                size_t* index) {
  if (i >= count_) {
    *index = otherwise;
    return true;
  }
  double number;
  if (!NumberArgument(i, &number)) return false;
  if (number < 0) number += static_cast<double>(size);
  // Too far on either side means the beginning or the end.
  if (!(number > 0)) number = 0;
  *index =
      number < static_cast<double>(size) ? static_cast<size_t>(number) : size;
  return true;
}

}  // namespace toylang
