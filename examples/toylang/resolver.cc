#include "examples/toylang/resolver.h"

#include <string_view>
#include <unordered_map>
#include <utility>

namespace toylang {
namespace {

class Resolver {
 public:
  explicit Resolver(const std::vector<std::string>& predefined) {
    EnterScope(nullptr);
    for (const std::string& name : predefined) {
      VariablePtr variable = std::make_unique<Variable>();
      variable->name = name;
      AddGlobal(variable.get());
      globals_.predefined.push_back(std::move(variable));
    }
  }

  Globals Run(Node* program) {
    Node* block = program->children[0].get();
    EnterScope(nullptr);
    for (const NodePtr& statement : block->children) {
      for (const VariablePtr& variable : statement->declared) {
        if (IsDefinition(*statement)) AddGlobal(variable.get());
      }
    }
    function_ = program;
    ResolveChildren(block);
    return std::move(globals_);
  }

 private:
  struct Scope {
    const Node* function;  // null: globals
    std::unordered_map<std::string_view, Variable*> variables;
  };
  // scopes_[0] has the predefined globals, scopes_[1] those of the program.
  static constexpr size_t kGlobalScopes = 2;

  static bool IsDefinition(const Node& node) {
    return node.kind == NodeKind::kLet ||
           node.kind == NodeKind::kDeclareFunction;
  }

  void EnterScope(const Node* function) { scopes_.push_back({function, {}}); }
  void LeaveScope() { scopes_.pop_back(); }

  void AddToScope(Variable* variable) {
    if (!scopes_.back().variables.emplace(variable->name, variable).second) {
      throw SyntaxError{variable->where,
                        "'" + variable->name + "' is already defined here"};
    }
  }

  void AddGlobal(Variable* variable) {
    AddToScope(variable);
    variable->slot = static_cast<uint32_t>(globals_.names.size());
    globals_.names.push_back(variable->name);
  }

  void Declare(const Node& node) {
    if (scopes_.size() == kGlobalScopes) return;  // has been declared already
    for (const VariablePtr& variable : node.declared) {
      variable->function = function_;
      AddToScope(variable.get());
    }
  }

  Variable* Find(const Node& name) {
    for (size_t i = scopes_.size(); i-- > 0;) {
      const auto found = scopes_[i].variables.find(name.text);
      if (found == scopes_[i].variables.end()) continue;
      Variable* variable = found->second;
      if (variable->function != nullptr && variable->function != function_) {
        variable->captured = true;
      }
      return variable;
    }
    throw SyntaxError{name.where, "'" + name.text + "' is not defined"};
  }

  void ResolveChildren(Node* node) {
    for (const NodePtr& child : node->children) Resolve(child.get());
  }

  void Resolve(Node* node) {
    switch (node->kind) {
      case NodeKind::kName:
        node->variable = Find(*node);
        break;
      case NodeKind::kLet:
        ResolveChildren(node);
        Declare(*node);  // not before: the value may use an outer namesake
        break;
      case NodeKind::kDeclareFunction:
        Declare(*node);  // first: the function may call itself
        ResolveChildren(node);
        break;
      case NodeKind::kBlock:
        EnterScope(function_);
        ResolveChildren(node);
        LeaveScope();
        break;
      case NodeKind::kForEach:
      case NodeKind::kForRange:
        // The variable is known in the body alone, which comes last.
        for (size_t i = 0; i + 1 < node->children.size(); i++) {
          Resolve(node->children[i].get());
        }
        EnterScope(function_);
        Declare(*node);
        Resolve(node->children.back().get());
        LeaveScope();
        break;
      case NodeKind::kFunction: {
        const Node* const enclosing = std::exchange(function_, node);
        EnterScope(function_);
        Declare(*node);
        ResolveChildren(node);
        LeaveScope();
        function_ = enclosing;
        break;
      }
      default:
        ResolveChildren(node);
        break;
    }
  }

  const Node* function_ = nullptr;  // being resolved
  std::vector<Scope> scopes_;       // innermost last
  Globals globals_;
};

}  // namespace

Globals Resolve(Node* program, const std::vector<std::string>& predefined) {
  return Resolver(predefined).Run(program);
}

}  // namespace toylang
