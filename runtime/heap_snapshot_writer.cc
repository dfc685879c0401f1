// Writes a snapshot of a heap in the format of V8's, which Chrome's developer
// tools and memlab read: one JSON object with
//
//   snapshot  what the fields of a node and an edge are, and how many there are
//   nodes     numbers, kNodeFields for each node: its type, its name, an
//             identity that is the same in all snapshots of the heap, its own
//             bytes, how many edges it has, and two that mean nothing here
//   edges     numbers, three for each edge, the edges of the first node first:
//             its type, its name or index, and where the node it leads to
//             begins in `nodes`
//   strings   the names
//
// The nodes, in this order:
//
//   the root          leads to the holders
//   holders           a thread or fiber, or the heap's roots of one kind
//   groups            what has a name in a holder: a frame, a provider ...
//   objects           those that the roots reach, and that is all: readers
//                     compute distances and dominators from the root
//
// V8 writes object types apart (strings, arrays, code ...), and its readers
// treat them apart: "array" and "hidden" vanish into their owners. Here objects
// are of the types "object", named by their loam type, and "native", bytes
// without a type.

#include <charconv>
#include <cstdio>
#include <initializer_list>
#include <string_view>

#include "runtime/base/embedder_call.h"
#include "runtime/heap_tracer.h"
#include "runtime/output_file.h"
#include "runtime/stopped_world.h"
#include "runtime/string_table.h"

namespace loam {
namespace {

// Indices into the lists of types below.
enum NodeType : uint32_t { kObject = 3, kNative = 8, kSynthetic = 9 };
enum EdgeType : uint32_t {
  kElement = 1,
  kProperty = 2,
  kHidden = 4,
  kWeak = 6
};

constexpr char kMeta[] =
    R"({"node_fields":["type","name","id","self_size","edge_count",)"
    R"("trace_node_id","detachedness"],)"
    R"("node_types":[["hidden","array","string","object","code","closure",)"
    R"("regexp","number","native","synthetic","concatenated string",)"
    R"("sliced string","symbol","bigint"],"string","number","number",)"
    R"("number","number","number"],)"
    R"("edge_fields":["type","name_or_index","to_node"],)"
    R"("edge_types":[["context","element","property","internal","hidden",)"
    R"("shortcut","weak"],"string_or_number","node"],)"
    R"("trace_function_info_fields":["function_id","name","script_name",)"
    R"("script_id","line","column"],)"
    R"("trace_node_fields":["id","function_info_index","count","size",)"
    R"("children"],)"
    R"("sample_fields":["timestamp_us","last_assigned_id"],)"
    R"("location_fields":["object_index","script_id","line","column"]})";
constexpr uint64_t kNodeFields = 7;

// Names with an index in them are strings of their own. Beyond this index they
// do without it, so that a long array of records costs no string per element.
constexpr size_t kNamedIndices = 1024;
constexpr size_t kNameBytes = 512;

// A node that stands for roots: the root of all, a holder or a group.
struct RootNode {
  static constexpr uint32_t kNone = 0;  // the root is nobody's child

  uint32_t name;       // strings: of the node,
  uint32_t edge_name;  // and of the edge to it
  uint32_t first_child;
  uint32_t last_child;
  uint32_t next_sibling;
  uint32_t thread;  // of a holder: RootGroup::thread_number
  uint64_t children;
  // In the root table: what the node itself refers to.
  uint64_t first_reference;
  uint64_t end_reference;

  uint64_t edges() const { return children + end_reference - first_reference; }
};

// Beyond so many, the rest of the roots share a node.
constexpr size_t kMaxRootNodes = 1 << 16;
static_assert(2 * kMaxRootNodes < ObjectSet::kFirstIdentity);

class SnapshotWriter {
 public:
  SnapshotWriter(Runtime* runtime, OutputFile* file)
      : runtime_(runtime),
        page_heap_(runtime->page_heap()),
        file_(file),
        tracer_(page_heap_, runtime->options().encoding,
                HeapTracer::Keep::kObjects) {}

  // The world is stopped and everything swept. kOutOfMemory or kWrongState.
  Status Write(ErrorMessage* message);

 private:
  bool MakeRootNodes();
  // The numbers of new or existing root nodes; kNone when out of memory.
  uint32_t AddRootNode(uint32_t parent, std::string_view name,
                       std::string_view edge_name);
  uint32_t HolderOf(const RootGroup& group);

  // How many of them each object has, and all nodes together.
  bool CountEdges();
  void WriteHeader();
  void WriteNodes();
  void WriteNode(NodeType type, uint32_t name, uint64_t identity,
                 uint64_t bytes, uint64_t edges);
  void PutItem(std::initializer_list<uint64_t> numbers);
  void WriteEdges();
  void WriteRootEdges(const RootNode& node);
  void WriteEdge(EdgeType type, uint64_t name_or_index, uint64_t node);
  void WriteNamedEdge(SlotName name, bool is_retaining, uint64_t node);
  void WriteReference(uintptr_t cell, const Reference& reference);
  void WriteStrings();

  // Calls visit(reference) for what has an edge.
  template <typename Visit>
  void ForEachEdge(uintptr_t cell, Visit&& visit) {
    tracer_.references().ForEach(cell, [&](const Reference& reference) {
      // A weak word may refer to what nothing keeps.
      if (IsRetaining(reference.kind) || objects_->Contains(reference.target)) {
        visit(reference);
      }
    });
  }
  uint64_t NodeOf(uintptr_t cell) const {
    return root_nodes_.size() + objects_->NumberOf(cell);
  }
  uint32_t StringOf(std::string_view text) {
    const uint32_t number = strings_.NumberOf(text);
    if (number == StringTable::kNone) is_out_of_memory_ = true;
    return number;
  }

  Runtime* const runtime_;
  PageHeap* const page_heap_;
  OutputFile* const file_;
  HeapTracer tracer_;
  ObjectSet* objects_ = nullptr;
  StringTable strings_;
  OsArray<RootNode> root_nodes_;
  OsArray<uint32_t> edge_counts_;  // of objects, by number
  uint64_t edge_count_ = 0;
  bool is_first_ = true;  // of the list that is being written
  bool is_out_of_memory_ = false;
  bool has_changed_ = false;  // what a trace callback reports
};

uint32_t SnapshotWriter::AddRootNode(uint32_t parent, std::string_view name,
                                     std::string_view edge_name) {
  const auto number = static_cast<uint32_t>(root_nodes_.size());
  RootNode node = {};
  node.name = StringOf(name);
  node.edge_name = StringOf(edge_name);
  if (!root_nodes_.Add(node)) {
    is_out_of_memory_ = true;
    return RootNode::kNone;
  }
  if (number == 0) return 0;
  RootNode& above = root_nodes_[parent];
  if (above.children++ == 0) {
    above.first_child = number;
  } else {
    root_nodes_[above.last_child].next_sibling = number;
  }
  above.last_child = number;
  return number;
}

uint32_t SnapshotWriter::HolderOf(const RootGroup& group) {
  const RootTable& roots = tracer_.roots();
  const char* thread = roots.name(group.thread);
  const bool is_of_thread = thread[0] != '\0';
  char text[kNameBytes];
  snprintf(text, sizeof(text), "(%s%s)", is_of_thread ? "thread " : "",
           is_of_thread ? thread : roots.name(group.kind));
  const uint32_t name = StringOf(text);
  const uint32_t number = is_of_thread ? group.thread_number : 0;
  // Roots of a thread come together, and there are few kinds otherwise.
  const RootNode& root = root_nodes_[0];
  uint32_t holder = is_of_thread ? root.last_child : root.first_child;
  for (; holder != RootNode::kNone; holder = root_nodes_[holder].next_sibling) {
    const RootNode& node = root_nodes_[holder];
    if (node.name == name && node.thread == number) return holder;
  }
  holder = AddRootNode(0, text, text);
  if (holder != RootNode::kNone) root_nodes_[holder].thread = number;
  return holder;
}

bool SnapshotWriter::MakeRootNodes() {
  AddRootNode(0, "(root)", "");
  const RootTable& roots = tracer_.roots();
  const OsArray<RootReference>& references = roots.references();
  for (size_t i = 0; i < references.size() && !is_out_of_memory_;) {
    const uint32_t number = references[i].group;
    const RootGroup& group = roots.groups()[number];
    uint32_t node;
    size_t end = i + 1;
    if (root_nodes_.size() + 3 > kMaxRootNodes) {
      node = AddRootNode(0, "(more roots)", "(more roots)");
      end = references.size();
    } else {
      node = HolderOf(group);
      const char* kind = roots.name(group.kind);
      const char* name = roots.name(group.name);
      // The heap's roots without a name hang on their holder.
      if (name[0] != '\0' || roots.name(group.thread)[0] != '\0' ||
          root_nodes_[node].edges() != 0) {
        char text[kNameBytes];
        snprintf(text, sizeof(text), "%s%s%s", kind, name[0] != '\0' ? " " : "",
                 name);
        node = AddRootNode(node, text, name[0] != '\0' ? name : kind);
      }
      while (end < references.size() && references[end].group == number) end++;
    }
    root_nodes_[node].first_reference = i;
    root_nodes_[node].end_reference = end;
    i = end;
  }
  return !is_out_of_memory_;
}

bool SnapshotWriter::CountEdges() {
  if (!edge_counts_.Extend(objects_->count())) return false;
  edge_count_ = 0;
  for (const RootNode& node : root_nodes_) edge_count_ += node.edges();
  size_t number = 0;
  objects_->ForEach([&](uintptr_t cell) {
    uint32_t edges = 0;
    ForEachEdge(cell, [&](const Reference&) { edges++; });
    edge_counts_[number++] = edges;
    edge_count_ += edges;
  });
  return true;
}

void SnapshotWriter::WriteHeader() {
  file_->Put("{\"snapshot\":{\"meta\":");
  file_->Put(kMeta);
  file_->Put(",\"node_count\":");
  file_->PutNumber(root_nodes_.size() + objects_->count());
  file_->Put(",\"edge_count\":");
  file_->PutNumber(edge_count_);
  file_->Put(",\"trace_function_count\":0}");
}

void SnapshotWriter::WriteNode(NodeType type, uint32_t name, uint64_t identity,
                               uint64_t bytes, uint64_t edges) {
  PutItem({type, name, identity, bytes, edges, 0, 0});
}

// Nearly all of the file.
void SnapshotWriter::PutItem(std::initializer_list<uint64_t> numbers) {
  constexpr size_t kNumberBytes = 21;  // and a comma
  char line[kNodeFields * kNumberBytes + 2];
  char* at = line;
  *at++ = is_first_ ? ' ' : ',';
  is_first_ = false;
  for (const uint64_t number : numbers) {
    at = std::to_chars(at, line + sizeof(line), number).ptr;
    *at++ = ',';
  }
  at[-1] = '\n';
  file_->Put({line, static_cast<size_t>(at - line)});
}

void SnapshotWriter::WriteNodes() {
  file_->Put(",\n\"nodes\":[");
  is_first_ = true;
  for (size_t i = 0; i < root_nodes_.size(); i++) {
    WriteNode(kSynthetic, root_nodes_[i].name, 2 * i + 1, 0,
              root_nodes_[i].edges());
  }
  size_t number = 0;
  objects_->ForEach([&](uintptr_t cell) {
    const Span& span = *page_heap_->FindSpan(cell);
    const bool is_bytes =
        span.TypeOf(cell) == nullptr && span.scan == ScanKind::kNoscan;
    WriteNode(is_bytes ? kNative : kObject, StringOf(NameOfObject(span, cell)),
              objects_->IdentityOf(cell), Runtime::ObjectBytes(span, cell),
              edge_counts_[number++]);
  });
  file_->Put("]");
}

void SnapshotWriter::WriteEdge(EdgeType type, uint64_t name_or_index,
                               uint64_t node) {
  PutItem({type, name_or_index, node * kNodeFields});
}

void SnapshotWriter::WriteRootEdges(const RootNode& node) {
  uint64_t index = 0;
  for (uint32_t child = node.first_child; child != RootNode::kNone;
       child = root_nodes_[child].next_sibling) {
    // As V8 does at its root.
    if (&node == &root_nodes_[0]) {
      WriteEdge(kElement, index++, child);
    } else {
      WriteEdge(kProperty, root_nodes_[child].edge_name, child);
    }
  }
  for (size_t i = node.first_reference; i < node.end_reference; i++) {
    const RootReference& reference = tracer_.roots().references()[i];
    WriteNamedEdge(tracer_.roots().NameOf(reference), true,
                   NodeOf(reference.target));
  }
}

void SnapshotWriter::WriteReference(uintptr_t cell,
                                    const Reference& reference) {
  const SlotName name =
      reference.slot == 0
          ? NameOfReported(reference.part, reference.index)
          : NameOfSlot(*page_heap_->FindSpan(cell), cell, reference.slot);
  WriteNamedEdge(name, IsRetaining(reference.kind), NodeOf(reference.target));
}

void SnapshotWriter::WriteNamedEdge(SlotName name, bool is_retaining,
                                    uint64_t node) {
  const bool has_field = name.field[0] != '\0';
  if (!is_retaining || (has_field && !name.is_array_element)) {
    char text[kNameBytes];
    if (name.index != SlotName::kNone && name.index >= kNamedIndices) {
      name.index = SlotName::kAny;
    }
    std::string_view written = WriteSlotName(name, text, sizeof(text));
    if (written.substr(0, 1) == ".") written.remove_prefix(1);
    WriteEdge(is_retaining ? kProperty : kWeak, StringOf(written), node);
  } else {
    WriteEdge(name.is_in_fixed_part ? kHidden : kElement, name.index, node);
  }
}

void SnapshotWriter::WriteEdges() {
  file_->Put(",\n\"edges\":[");
  is_first_ = true;
  for (const RootNode& node : root_nodes_) WriteRootEdges(node);
  size_t number = 0;
  objects_->ForEach([&](uintptr_t cell) {
    uint32_t edges = 0;
    ForEachEdge(cell, [&](const Reference& reference) {
      WriteReference(cell, reference);
      edges++;
    });
    if (edges != edge_counts_[number++]) has_changed_ = true;
  });
  file_->Put("]");
}

void SnapshotWriter::WriteStrings() {
  file_->Put(",\n\"strings\":[");
  for (size_t i = 0; i < strings_.size(); i++) {
    file_->Put(i == 0 ? "" : ",\n");
    file_->PutJsonString(strings_[i]);
  }
  file_->Put("]}\n");
}

Status SnapshotWriter::Write(ErrorMessage* message) {
  bool has_memory = tracer_.Trace(runtime_->cycle());
  if (has_memory) {
    tracer_.ReleaseOrder();
    objects_ = tracer_.reached();
    objects_->AssignNumbers();
    has_memory = MakeRootNodes() && CountEdges();
  }
  if (has_memory) {
    WriteHeader();
    WriteNodes();
    WriteEdges();
    // What there would be to say of allocations.
    file_->Put(
        ",\n\"trace_function_infos\":[],\n\"trace_tree\":[],\n\"samples\":[],\n"
        "\"locations\":[]");
    WriteStrings();
    has_memory = !is_out_of_memory_;
  }
  if (!has_memory) {
    message->Format("out of memory for its tables");
    return Status::kOutOfMemory;
  }
  if (has_changed_) {
    message->Format(
        "a trace callback did not report as many references the second time "
        "as the first");
    return Status::kWrongState;
  }
  return Status::kOk;
}

}  // namespace

Status Runtime::WriteSnapshot(Mutator* m, const char* path,
                              ErrorMessage* message) {
  const ScopedFatalContext context(&fatal_context_);
  OutputFile file(path);
  const Status opened = file.Open(message);
  if (opened != Status::kOk) return opened;
  // Most of what is left to sweep is swept before the world stops.
  sweeper_.SweepAll();
  Status written = Status::kOk;
  {
    const StoppedWorld stopped(this, m);
    EmbedderCall("a trace or decode callback", [&] {
      SnapshotWriter writer(this, &file);
      written = writer.Write(message);
    });
  }
  return written == Status::kOk ? file.Commit(message) : written;
}

}  // namespace loam
