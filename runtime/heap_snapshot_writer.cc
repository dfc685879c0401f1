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
// The nodes: those of the roots, the root of all first (snapshot_roots.h); then
// the objects that the roots reach, and no others: readers compute distances
// and dominators from the root.
//
// V8 writes object types apart (strings, arrays, code ...), and its readers
// treat them apart: "array" and "hidden" vanish into their owners. Here objects
// are of the types "object", named by their loam type, and "native", bytes
// without a type.

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <initializer_list>
#include <string_view>

#include "runtime/base/embedder_call.h"
#include "runtime/heap_tracer.h"
#include "runtime/output_file.h"
#include "runtime/snapshot_roots.h"
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
  void WriteReference(uintptr_t cell, const Reference& reference,
                      bool is_retaining);
  void WriteStrings();

  // Calls visit(reference, is_retaining) for what has an edge.
  template <typename Visit>
  void ForEachEdge(uintptr_t cell, Visit&& visit) {
    tracer_.references().ForEach(cell, [&](const Reference& reference) {
      const bool is_retaining = tracer_.IsRetaining(cell, reference);
      // A weak word may refer to what nothing keeps.
      if (is_retaining || objects_->Contains(reference.target)) {
        visit(reference, is_retaining);
      }
    });
  }
  uint64_t NodeOf(uintptr_t cell) const {
    return roots_.nodes().size() + objects_->NumberOf(cell);
  }

  Runtime* const runtime_;
  PageHeap* const page_heap_;
  OutputFile* const file_;
  HeapTracer tracer_;
  ObjectSet* objects_ = nullptr;
  StringTable strings_;
  SnapshotRoots roots_;
  OsArray<uint32_t> edge_counts_;  // of objects, by number
  uint64_t edge_count_ = 0;
  bool is_first_ = true;      // of the list that is being written
  bool has_changed_ = false;  // what a trace callback reports
};

bool SnapshotWriter::CountEdges() {
  if (!edge_counts_.Extend(objects_->count())) return false;
  edge_count_ = 0;
  for (const RootNode& node : roots_.nodes()) edge_count_ += node.edges();
  size_t number = 0;
  objects_->ForEach([&](uintptr_t cell) {
    uint32_t edges = 0;
    ForEachEdge(cell, [&](const Reference&, bool) { edges++; });
    edge_counts_[number++] = edges;
    edge_count_ += edges;
  });
  return true;
}

void SnapshotWriter::WriteHeader() {
  file_->Put("{\"snapshot\":{\"meta\":");
  file_->Put(kMeta);
  file_->Put(",\"node_count\":");
  file_->PutNumber(roots_.nodes().size() + objects_->count());
  file_->Put(",\"edge_count\":");
  file_->PutNumber(edge_count_);
  file_->Put(",\"trace_function_count\":0}");
}

void SnapshotWriter::WriteNode(NodeType type, uint32_t name, uint64_t identity,
                               uint64_t bytes, uint64_t edges) {
  // Readers keep 32 bits of each.
  PutItem({type, name, identity, std::min<uint64_t>(bytes, UINT32_MAX), edges,
           0, 0});
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
  for (size_t i = 0; i < roots_.nodes().size(); i++) {
    WriteNode(kSynthetic, roots_.nodes()[i].name, 2 * i + 1, 0,
              roots_.nodes()[i].edges());
  }
  size_t number = 0;
  objects_->ForEach([&](uintptr_t cell) {
    if (file_->has_failed()) return;
    const Span& span = *page_heap_->FindSpan(cell);
    const bool is_bytes =
        span.TypeOf(cell) == nullptr && span.scan == ScanKind::kNoscan;
    WriteNode(is_bytes ? kNative : kObject,
              strings_.NumberOf(NameOfObject(span, cell)),
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
       child = roots_.nodes()[child].next_sibling) {
    // As V8 does at its root.
    if (&node == &roots_.nodes()[0]) {
      WriteEdge(kElement, index++, child);
    } else {
      WriteEdge(kProperty, roots_.nodes()[child].edge_name, child);
    }
  }
  for (size_t i = 0; i < node.references; i++) {
    const RootReference& reference = roots_.ReferenceOf(node, i);
    WriteNamedEdge(tracer_.roots().NameOf(reference), true,
                   NodeOf(reference.target));
  }
}

void SnapshotWriter::WriteReference(uintptr_t cell, const Reference& reference,
                                    bool is_retaining) {
  const SlotName name =
      reference.slot == 0
          ? NameOfReported(reference.part, reference.index)
          : NameOfSlot(*page_heap_->FindSpan(cell), cell, reference.slot);
  WriteNamedEdge(name, is_retaining, NodeOf(reference.target));
}

void SnapshotWriter::WriteNamedEdge(SlotName name, bool is_retaining,
                                    uint64_t node) {
  const bool has_field = name.field[0] != '\0';
  const EdgeType named = is_retaining ? kProperty : kWeak;
  if (has_field && name.index == SlotName::kNone) {  // most
    WriteEdge(named, strings_.NumberOf(name.field), node);
  } else if (!is_retaining || (has_field && !name.is_array_element)) {
    char text[kNameBytes];
    if (name.index != SlotName::kNone && name.index >= kNamedIndices) {
      name.index = SlotName::kAny;
    }
    std::string_view written = WriteSlotName(name, text, sizeof(text));
    if (written.substr(0, 1) == ".") written.remove_prefix(1);
    WriteEdge(named, strings_.NumberOf(written), node);
  } else {
    WriteEdge(name.is_in_fixed_part ? kHidden : kElement, name.index, node);
  }
}

void SnapshotWriter::WriteEdges() {
  file_->Put(",\n\"edges\":[");
  is_first_ = true;
  for (const RootNode& node : roots_.nodes()) WriteRootEdges(node);
  size_t number = 0;
  objects_->ForEach([&](uintptr_t cell) {
    if (file_->has_failed()) return;
    uint32_t edges = 0;
    ForEachEdge(cell, [&](const Reference& reference, bool is_retaining) {
      edges++;
      // It has no number if the callback had not reported it before.
      if (objects_->Contains(reference.target)) {
        WriteReference(cell, reference, is_retaining);
      } else {
        has_changed_ = true;
      }
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
    has_memory = roots_.Make(tracer_.roots(), &strings_) && CountEdges();
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
    has_memory = !strings_.is_out_of_memory();
  }
  if (!has_memory) {
    message->Format("out of memory for its tables");
    return Status::kOutOfMemory;
  }
  if (has_changed_) {
    message->Format(
        "a trace callback did not report the same references the second time "
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
