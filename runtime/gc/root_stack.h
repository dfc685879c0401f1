// A root stack: the shadow-stack frames and handles of one thread of control.
// Every mutator has one, and every fiber.
//
// Owned by the thread that runs on it; read by the collector while that thread
// stands still. Frame, FrameMap, HandleSlot and the beginning of RootStack are
// ABI (api/loam_roots.h): compiled code pushes and pops frames.

#ifndef LOAM_RUNTIME_GC_ROOT_STACK_H_
#define LOAM_RUNTIME_GC_ROOT_STACK_H_

#include <cstddef>
#include <cstdint>

#include "runtime/gc/visitor.h"

namespace loam {

struct RootStack;
class RootSet;

struct FrameMap {
  uint32_t count;
  uint32_t uniform_kind;  // WordKind, if kinds is NULL
  const uint8_t* kinds;   // a WordKind per slot
  const char* name;
};

struct Frame {  // The slots follow.
  Frame* previous;
  const FrameMap* map;
  RootStack* stack;
};

struct HandleSlot {
  uintptr_t word;
  uintptr_t kind;  // WordKind
};

struct HandleBlock {
  static constexpr size_t kSlots = 126;
  HandleBlock* previous;
  HandleBlock* next;  // kept for reuse when a scope closes
  HandleSlot slots[kSlots];
};

// A position to return to: of a handle scope or an unwind point.
struct HandlePosition {
  HandleSlot* next;
  HandleBlock* block;
};

struct RootStack {
  // The ABI part.
  Frame* frames = nullptr;
  HandleSlot* next_handle = nullptr;
  HandleSlot* handle_limit = nullptr;

  // NULL when out of memory.
  HandleSlot* NewHandle(RootSet* roots, uintptr_t word, uintptr_t kind);
  HandlePosition handle_position() const { return {next_handle, handle_block}; }
  void RestoreHandles(HandlePosition position);

  // Reports every frame slot and handle.
  void Visit(loam_visitor* visitor) const;

  // Gives the blocks back.
  void Release(RootSet* roots);

  // The rest is private to this file's functions.
  HandleBlock* handle_block = nullptr;  // holds next_handle; NULL: none yet
  HandleBlock* first_handle_block = nullptr;
};

}  // namespace loam

#endif  // LOAM_RUNTIME_GC_ROOT_STACK_H_
