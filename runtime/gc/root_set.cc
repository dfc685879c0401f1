#include "runtime/gc/root_set.h"

#include <cstdio>
#include <new>

#include "runtime/base/embedder_call.h"

namespace loam {
namespace {

// Threads of doubly linked lists; the link fields are `next` and `previous`.
template <typename Node>
void LinkFirst(Node** head, Node* node) {
  node->next = *head;
  node->previous = nullptr;
  if (*head != nullptr) (*head)->previous = node;
  *head = node;
}
template <typename Node>
void LinkOut(Node** head, Node* node) {
  (node->previous != nullptr ? node->previous->next : *head) = node->next;
  if (node->next != nullptr) node->next->previous = node->previous;
}

void VisitWords(loam_visitor* visitor, WordKind kind, const uintptr_t* words,
                size_t count) {
  for (size_t i = 0; i < count; i++) {
    // Threads in native state may write roots meanwhile: each word whole.
    const uintptr_t word = __atomic_load_n(&words[i], __ATOMIC_RELAXED);
    if (kind == WordKind::kValue) {
      visitor->VisitValue(word);
    } else if (kind == WordKind::kPointer) {
      visitor->VisitPointer(word);
    } else if (kind == WordKind::kAmbiguous) {
      visitor->VisitAmbiguous(word);
    } else {
      visitor->VisitWeak(kind, word);
    }
  }
}

void VisitRecords(const RootRecord* list, loam_visitor* visitor) {
  for (const RootRecord* r = list; r != nullptr; r = r->next) {
    if (r->provider != nullptr) {
      visitor->EnterRoot("provider", r->name);
      EmbedderCall("a root provider", [&] { r->provider(visitor, r->data); });
    } else {
      visitor->EnterRoot("registered root", r->name);
      VisitWords(visitor, r->kind, r->slots, r->count);
    }
  }
}

}  // namespace

RootRecord* RootSet::NewRecord(RootRecord** list, const char* name) {
  RootRecord* record = records_.Take();
  if (record == nullptr) return nullptr;
  record->list = list;
  record->set = this;
  snprintf(record->name, sizeof(record->name), "%s",
           name != nullptr ? name : "");
  LinkFirst(list, record);
  return record;
}

RootRecord* RootSet::AddWords(uintptr_t* slots, size_t count, WordKind kind,
                              const char* name) {
  MutexLock lock(&mutex_);
  RootRecord* record = NewRecord(&heap_roots_, name);
  if (record == nullptr) return nullptr;
  record->slots = slots;
  record->count = count;
  record->kind = kind;
  record->provider = nullptr;
  record->data = nullptr;
  return record;
}

RootRecord* RootSet::AddProvider(ProviderCallback provider, void* data,
                                 const char* name, RootRecord** list) {
  MutexLock lock(&mutex_);
  RootRecord* record = NewRecord(list != nullptr ? list : &heap_roots_, name);
  if (record == nullptr) return nullptr;
  record->slots = nullptr;
  record->count = 0;
  record->kind = WordKind::kData;
  record->provider = provider;
  record->data = data;
  return record;
}

void RootSet::VisitWeakProviders(loam_visitor* visitor) {
  MutexLock lock(&mutex_);
  for (const RootRecord* r = weak_providers_; r != nullptr; r = r->next) {
    EmbedderCall("a weak provider", [&] { r->provider(visitor, r->data); });
  }
}

void RootSet::Unlink(RootRecord* record) {
  LinkOut(record->list, record);
  record->set = nullptr;
  records_.Give(record);
}

void RootSet::Remove(RootRecord* record) {
  MutexLock lock(&mutex_);
  Unlink(record);
}

void RootSet::RemoveList(RootRecord** list) {
  while (*list != nullptr) Unlink(*list);
}

GlobalRecord* RootSet::AddGlobal(WordKind kind, uintptr_t word) {
  MutexLock lock(&mutex_);
  GlobalRecord* global = globals_pool_.Take();
  if (global == nullptr) return nullptr;
  global->set = this;
  global->kind = kind;
  global->word.store(word, std::memory_order_release);
  LinkFirst(&globals_, global);
  return global;
}

void RootSet::RemoveGlobal(GlobalRecord* global) {
  MutexLock lock(&mutex_);
  LinkOut(&globals_, global);
  global->set = nullptr;
  globals_pool_.Give(global);
}

bool RootSet::AddImmortal(uintptr_t object) {
  MutexLock lock(&mutex_);
  if (immortals_ == nullptr || immortal_count_ == ImmortalBlock::kObjects) {
    auto* block = static_cast<ImmortalBlock*>(
        persistent_->Allocate(sizeof(ImmortalBlock), alignof(ImmortalBlock)));
    if (block == nullptr) return false;
    block->next = immortals_;
    immortals_ = block;
    immortal_count_ = 0;
  }
  immortals_->objects[immortal_count_++] = object;
  return true;
}

Fiber* RootSet::AddFiber(uintptr_t owner) {
  MutexLock lock(&mutex_);
  Fiber* memory = fibers_pool_.Take();
  if (memory == nullptr) return nullptr;
  auto* fiber = new (memory) Fiber{};
  fiber->set = this;
  fiber->owner = owner;
  // One that is made while marking is under way, by a thread that is not
  // stopped, is not to be found dead by it.
  fiber->visited = true;
  LinkFirst(&fibers_, fiber);
  return fiber;
}

void RootSet::UnlinkFiber(Fiber* fiber) {
  fibers_destroyed_.fetch_add(1, std::memory_order_relaxed);
  LinkOut(&fibers_, fiber);
  RemoveList(&fiber->providers);
}

void RootSet::RemoveFiber(Fiber* fiber) {
  {
    MutexLock lock(&mutex_);
    UnlinkFiber(fiber);
  }
  fiber->stack.Release(this);
  MutexLock lock(&mutex_);
  fiber->set = nullptr;
  fibers_pool_.Give(fiber);
}

void RootSet::RemoveUnvisitedFibers() {
  Fiber* dead = nullptr;
  {
    MutexLock lock(&mutex_);
    for (Fiber* fiber = fibers_; fiber != nullptr;) {
      Fiber* next = fiber->next;
      if (!fiber->visited) {
        UnlinkFiber(fiber);
        fiber->next = dead;
        dead = fiber;
      }
      fiber = next;
    }
  }
  while (dead != nullptr) {
    Fiber* fiber = dead;
    dead = fiber->next;
    fiber->stack.Release(this);
    MutexLock lock(&mutex_);
    fiber->set = nullptr;
    fibers_pool_.Give(fiber);
  }
}

void RootSet::ReleaseMutator(MutatorRoots* roots) {
  if (roots->current_fiber != nullptr) {  // After a fork only.
    roots->current_fiber->current_on.store(nullptr, std::memory_order_release);
  }
  roots->own_stack.Release(this);
  MutexLock lock(&mutex_);
  RemoveList(&roots->providers);
}

HandleBlock* RootSet::TakeHandleBlock() {
  MutexLock lock(&mutex_);
  return handle_blocks_.Take();
}

void RootSet::GiveHandleBlock(HandleBlock* block) {
  MutexLock lock(&mutex_);
  handle_blocks_.Give(block);
}

void RootSet::VisitHeapRoots(loam_visitor* visitor) {
  MutexLock lock(&mutex_);
  VisitRecords(heap_roots_, visitor);
  visitor->EnterRoot("global", nullptr);
  for (const GlobalRecord* g = globals_; g != nullptr; g = g->next) {
    const uintptr_t word = g->word.load(std::memory_order_acquire);
    VisitWords(visitor, g->kind, &word, 1);
  }
  visitor->EnterRoot("immortal object", nullptr);
  for (const ImmortalBlock* block = immortals_; block != nullptr;
       block = block->next) {
    const size_t count =
        block == immortals_ ? immortal_count_ : ImmortalBlock::kObjects;
    for (size_t i = 0; i < count; i++) visitor->VisitPointer(block->objects[i]);
  }
  for (Fiber* fiber = fibers_; fiber != nullptr; fiber = fiber->next) {
    fiber->visited = false;
    if (fiber->owner == 0) VisitFiber(fiber, visitor);
  }
}

void RootSet::VisitMutatorRoots(const MutatorRoots& roots,
                                loam_visitor* visitor) {
  MutexLock lock(&mutex_);
  roots.own_stack.Visit(visitor);
  VisitRecords(roots.providers, visitor);
  // The object that owns the current fiber must not die under it.
  if (roots.current_fiber != nullptr) {
    visitor->EnterRoot("owner of the current fiber", nullptr);
    visitor->VisitPointer(roots.current_fiber->owner);
  }
}

void RootSet::VisitFiber(Fiber* fiber, loam_visitor* visitor) {
  fiber->visited = true;
  visitor->EnterThread("fiber");
  fiber->stack.Visit(visitor);
  VisitRecords(fiber->providers, visitor);
  visitor->EnterThread(nullptr);
}

}  // namespace loam
