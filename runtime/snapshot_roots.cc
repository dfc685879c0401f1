#include "runtime/snapshot_roots.h"

#include <cstdio>

namespace loam {
namespace {

constexpr size_t kNameBytes = 512;
constexpr char kMoreRoots[] = "(more roots)";

// Identities of these nodes are below those of objects.
static_assert(2 * SnapshotRoots::kMaxNodes < ObjectSet::kFirstIdentity);

}  // namespace

uint32_t SnapshotRoots::AddNode(uint32_t parent, std::string_view name,
                                std::string_view edge_name) {
  const auto number = static_cast<uint32_t>(nodes_.size());
  RootNode node = {};
  node.name = strings_->NumberOf(name);
  node.edge_name = strings_->NumberOf(edge_name);
  if (!nodes_.Add(node)) {
    is_out_of_memory_ = true;
    return RootNode::kNone;
  }
  if (number == 0) return 0;
  RootNode& above = nodes_[parent];
  if (above.children++ == 0) {
    above.first_child = number;
  } else {
    nodes_[above.last_child].next_sibling = number;
  }
  above.last_child = number;
  return number;
}

uint32_t SnapshotRoots::HolderOf(const RootTable& roots,
                                 const RootGroup& group) {
  const char* thread = roots.name(group.thread);
  const bool is_of_thread = thread[0] != '\0';
  char text[kNameBytes];
  snprintf(text, sizeof(text), "(%s%s)", is_of_thread ? "thread " : "",
           is_of_thread ? thread : roots.name(group.kind));
  const uint32_t name = strings_->NumberOf(text);
  const uint32_t number = is_of_thread ? group.thread_number : 0;
  // Roots of a thread come together, and there are few kinds otherwise.
  const RootNode& root = nodes_[0];
  uint32_t holder = is_of_thread ? root.last_child : root.first_child;
  for (; holder != RootNode::kNone; holder = nodes_[holder].next_sibling) {
    const RootNode& node = nodes_[holder];
    if (node.name == name && node.thread == number) return holder;
  }
  holder = AddNode(0, text, text);
  if (holder != RootNode::kNone) nodes_[holder].thread = number;
  return holder;
}

uint32_t SnapshotRoots::NodeOf(const RootTable& roots, const RootGroup& group) {
  if (nodes_.size() + 3 > kMaxNodes) {
    const uint32_t last = nodes_[0].last_child;
    const uint32_t name = strings_->NumberOf(kMoreRoots);
    return nodes_[last].name == name ? last
                                     : AddNode(0, kMoreRoots, kMoreRoots);
  }
  const uint32_t holder = HolderOf(roots, group);
  const char* kind = roots.name(group.kind);
  const char* name = roots.name(group.name);
  // The heap's roots without a name hang on their holder.
  if (name[0] == '\0' && roots.name(group.thread)[0] == '\0') return holder;
  char text[kNameBytes];
  snprintf(text, sizeof(text), "%s%s%s", kind, name[0] != '\0' ? " " : "",
           name);
  return AddNode(holder, text, name[0] != '\0' ? name : kind);
}

bool SnapshotRoots::Make(const RootTable& roots, StringTable* strings) {
  strings_ = strings;
  AddNode(0, "(root)", "");
  const auto has_memory = [&] {
    return !is_out_of_memory_ && !strings->is_out_of_memory();
  };
  if (!has_memory()) return false;
  OsArray<uint32_t> of_group;
  for (const RootGroup& group : roots.groups()) {
    if (!of_group.Add(NodeOf(roots, group)) || !has_memory()) return false;
  }
  // The references of each node together, in their order.
  for (const RootReference& reference : roots.references()) {
    nodes_[of_group[reference.group]].references++;
  }
  uint64_t next = 0;
  for (RootNode& node : nodes_) {
    node.first_reference = next;
    next += node.references;
    node.references = 0;
  }
  if (!references_.Extend(roots.references().size())) return false;
  for (const RootReference& reference : roots.references()) {
    RootNode& node = nodes_[of_group[reference.group]];
    references_[node.first_reference + node.references++] = &reference;
  }
  return true;
}

}  // namespace loam
