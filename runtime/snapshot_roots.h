// The nodes of a heap snapshot that stand for roots: a tree of at most three
// levels.
//
//   the root    of everything; node 0
//   holders     a thread or fiber, or the heap's roots of one kind
//   groups      what has a name in a holder: a frame, a provider ...

#ifndef LOAM_RUNTIME_SNAPSHOT_ROOTS_H_
#define LOAM_RUNTIME_SNAPSHOT_ROOTS_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "runtime/heap_tracer.h"
#include "runtime/os_array.h"
#include "runtime/string_table.h"

namespace loam {

struct RootNode {
  static constexpr uint32_t kNone = 0;  // the root is nobody's child

  uint32_t name;       // strings: of the node,
  uint32_t edge_name;  // and of the edge to it
  uint32_t first_child;
  uint32_t last_child;
  uint32_t next_sibling;
  uint32_t thread;  // of a holder: RootGroup::thread_number
  uint64_t children;
  // What the node itself refers to: SnapshotRoots::ReferenceOf.
  uint64_t first_reference;
  uint64_t references;

  uint64_t edges() const { return children + references; }
};

class SnapshotRoots {
 public:
  // Beyond so many nodes, the rest of the roots share one.
  static constexpr size_t kMaxNodes = 1 << 16;

  // Once; `roots` lives as long as this. False when out of memory.
  bool Make(const RootTable& roots, StringTable* strings);

  const OsArray<RootNode>& nodes() const { return nodes_; }
  // i < node.references.
  const RootReference& ReferenceOf(const RootNode& node, size_t i) const {
    return *references_[node.first_reference + i];
  }

 private:
  // The numbers of new or existing nodes; kNone when out of memory.
  uint32_t AddNode(uint32_t parent, std::string_view name,
                   std::string_view edge_name);
  uint32_t HolderOf(const RootTable& roots, const RootGroup& group);
  uint32_t NodeOf(const RootTable& roots, const RootGroup& group);

  StringTable* strings_ = nullptr;
  OsArray<RootNode> nodes_;
  OsArray<const RootReference*> references_;  // those of each node together
  bool is_out_of_memory_ = false;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_SNAPSHOT_ROOTS_H_
