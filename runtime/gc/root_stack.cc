#include "runtime/gc/root_stack.h"

#include "runtime/base/fatal.h"
#include "runtime/gc/root_set.h"
#include "runtime/heap/word_kind.h"

namespace loam {
namespace {

void VisitWord(loam_visitor* visitor, WordKind kind, uintptr_t word) {
  switch (kind) {
    case WordKind::kValue:
      visitor->VisitValue(word);
      break;
    case WordKind::kPointer:
      visitor->VisitPointer(word);
      break;
    case WordKind::kAmbiguous:
      visitor->VisitAmbiguous(word);
      break;
    default:
      break;
  }
}

}  // namespace

HandleSlot* RootStack::NewHandle(RootSet* roots, uintptr_t word,
                                 uintptr_t kind) {
  if (next_handle == handle_limit) {
    HandleBlock* next =
        handle_block == nullptr ? first_handle_block : handle_block->next;
    if (next == nullptr) {
      next = roots->TakeHandleBlock();
      if (next == nullptr) return nullptr;
      next->previous = handle_block;
      next->next = nullptr;
      (handle_block == nullptr ? first_handle_block : handle_block->next) =
          next;
    }
    handle_block = next;
    next_handle = next->slots;
    handle_limit = next->slots + HandleBlock::kSlots;
  }
  next_handle->word = word;
  next_handle->kind = kind;
  return next_handle++;
}

void RootStack::RestoreHandles(HandlePosition position) {
  next_handle = position.next;
  handle_block = position.block;
  handle_limit = handle_block == nullptr
                     ? position.next
                     : handle_block->slots + HandleBlock::kSlots;
}

void RootStack::Visit(loam_visitor* visitor) const {
  // A frame that was not popped is pushed again when its memory becomes that of
  // another; the list then runs in a circle. R. P. Brent's way to notice: every
  // so often remember a frame, twice as long each time, and look for it.
  const Frame* remembered = nullptr;
  size_t steps = 0;
  size_t steps_until_next = 1;
  for (const Frame* frame = frames; frame != nullptr; frame = frame->previous) {
    const FrameMap* map = frame->map;
    if (frame == remembered) {
      FatalMisuse(
          "the frames of a thread or fiber run in a circle at %p ('%s'): some "
          "function returned without popping its frame",
          static_cast<const void*>(frame),
          map->name != nullptr ? map->name : "");
    }
    if (++steps == steps_until_next) {
      remembered = frame;
      steps_until_next *= 2;
    }
    visitor->EnterRoot("frame", map->name);
    const auto* slots = reinterpret_cast<const uintptr_t*>(frame + 1);
    for (uint32_t i = 0; i < map->count; i++) {
      VisitWord(visitor,
                static_cast<WordKind>(
                    map->kinds != nullptr ? map->kinds[i] : map->uniform_kind),
                slots[i]);
    }
  }
  visitor->EnterRoot("handle", nullptr);
  for (const HandleBlock* block = handle_block; block != nullptr;
       block = block->previous) {
    const HandleSlot* end = block == handle_block
                                ? next_handle
                                : block->slots + HandleBlock::kSlots;
    for (const HandleSlot* slot = block->slots; slot != end; slot++) {
      VisitWord(visitor, static_cast<WordKind>(slot->kind), slot->word);
    }
  }
}

void RootStack::Release(RootSet* roots) {
  while (first_handle_block != nullptr) {
    HandleBlock* block = first_handle_block;
    first_handle_block = block->next;
    roots->GiveHandleBlock(block);
  }
  handle_block = nullptr;
  next_handle = nullptr;
  handle_limit = nullptr;
  frames = nullptr;
}

}  // namespace loam
