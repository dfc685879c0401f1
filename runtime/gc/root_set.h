// The roots of one heap that outlive a frame: registered words, providers,
// globals, immortal objects and fibers.
//
// All lists are guarded by the set's lock, which the collector holds while it
// visits: threads that are not attached may add and remove roots at any time.

#ifndef LOAM_RUNTIME_GC_ROOT_SET_H_
#define LOAM_RUNTIME_GC_ROOT_SET_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/base/mutex.h"
#include "runtime/gc/root_stack.h"
#include "runtime/gc/visitor.h"
#include "runtime/heap/metadata_allocator.h"
#include "runtime/heap/word_kind.h"

namespace loam {

class RootSet;
struct MutatorRoots;

using ProviderCallback = void (*)(loam_visitor* visitor, void* data);

// Registered words, or a provider.
struct RootRecord {
  static constexpr size_t kNameBytes = 40;  // longer names are cut

  RootRecord* next;
  RootRecord* previous;
  RootRecord** list;  // the head of the list it is on
  RootSet* set;
  uintptr_t* slots;  // NULL for providers
  size_t count;
  WordKind kind;
  ProviderCallback provider;
  void* data;
  char name[kNameBytes];
};

struct GlobalRecord {
  GlobalRecord* next;
  GlobalRecord* previous;
  RootSet* set;
  WordKind kind;
  std::atomic<uintptr_t> word;  // release when set, acquire when read
};

// A fiber: a root stack that can be current on one mutator after another.
//
//   owner == 0               a root until destroyed
//   owner != 0, current      scanned
//   owner != 0, not current  scanned when its owner is found reachable,
//   destroyed
//                            when it is not
struct Fiber {
  Fiber* next;
  Fiber* previous;
  RootSet* set;
  RootStack stack;
  RootRecord* providers;
  uintptr_t owner;  // address inside the owner object, or 0
  // The mutator on which it is current, or NULL. Compare-and-swap, so that two
  // mutators cannot both switch to it: acquire when taken, release when left.
  std::atomic<MutatorRoots*> current_on;
  bool visited;  // in this cycle; collector only
};

// What a mutator contributes.
struct MutatorRoots {
  RootStack own_stack;
  RootRecord* providers = nullptr;  // guarded by the set's lock
  Fiber* current_fiber = nullptr;   // owned by the mutator's thread
};

class RootSet {
 public:
  // `owner` is the layer above's, back from owner().
  explicit RootSet(PersistentAllocator* persistent, void* owner = nullptr)
      : owner_(owner),
        records_(persistent),
        globals_pool_(persistent),
        fibers_pool_(persistent),
        handle_blocks_(persistent),
        persistent_(persistent) {}

  void* owner() const { return owner_; }

  // NULL when out of memory. `list`: a mutator's or fiber's providers,
  // weak_providers(), or NULL for the heap's.
  RootRecord* AddWords(uintptr_t* slots, size_t count, WordKind kind,
                       const char* name) LOAM_EXCLUDES(mutex_);
  RootRecord* AddProvider(ProviderCallback provider, void* data,
                          const char* name, RootRecord** list)
      LOAM_EXCLUDES(mutex_);
  RootRecord** weak_providers() { return &weak_providers_; }
  void Remove(RootRecord* record) LOAM_EXCLUDES(mutex_);

  GlobalRecord* AddGlobal(WordKind kind, uintptr_t word) LOAM_EXCLUDES(mutex_);
  void RemoveGlobal(GlobalRecord* global) LOAM_EXCLUDES(mutex_);

  // False when out of memory.
  bool AddImmortal(uintptr_t object) LOAM_EXCLUDES(mutex_);

  Fiber* AddFiber(uintptr_t owner) LOAM_EXCLUDES(mutex_);
  void RemoveFiber(Fiber* fiber) LOAM_EXCLUDES(mutex_);
  // How many have been destroyed. Relaxed: who runs on a stack that has been
  // another fiber's knows that fiber to be destroyed.
  uint64_t fibers_destroyed() const {
    return fibers_destroyed_.load(std::memory_order_relaxed);
  }

  // Removes the providers of a mutator that detaches, and its root stack.
  void ReleaseMutator(MutatorRoots* roots) LOAM_EXCLUDES(mutex_);

  HandleBlock* TakeHandleBlock() LOAM_EXCLUDES(mutex_);
  void GiveHandleBlock(HandleBlock* block) LOAM_EXCLUDES(mutex_);

  // ---- For the collector, while the world is stopped.

  // Reports heap-wide roots, and fibers without an owner. Starts a new round of
  // fiber visits.
  void VisitHeapRoots(loam_visitor* visitor) LOAM_EXCLUDES(mutex_);
  void VisitMutatorRoots(const MutatorRoots& roots, loam_visitor* visitor)
      LOAM_EXCLUDES(mutex_);
  // Reports the roots of every fiber that is current, or whose owner
  // is_reachable(address), and has not been visited in this round. Returns
  // whether there was one.
  template <typename IsReachable>
  bool VisitReachableFibers(loam_visitor* visitor, IsReachable&& is_reachable)
      LOAM_EXCLUDES(mutex_) {
    MutexLock lock(&mutex_);
    bool any = false;
    for (Fiber* fiber = fibers_; fiber != nullptr; fiber = fiber->next) {
      if (fiber->visited) continue;
      if (fiber->current_on.load(std::memory_order_relaxed) == nullptr &&
          !is_reachable(fiber->owner)) {
        continue;
      }
      VisitFiber(fiber, visitor);
      any = true;
    }
    return any;
  }
  // Calls the weak providers: marking is done.
  void VisitWeakProviders(loam_visitor* visitor) LOAM_EXCLUDES(mutex_);
  // Sets weak globals and weak registered words for which is_dead(kind, word)
  // holds.
  template <typename IsDead>
  void ClearWeakRoots(uintptr_t cleared_word, IsDead&& is_dead)
      LOAM_EXCLUDES(mutex_) {
    MutexLock lock(&mutex_);
    // Threads in native state may store meanwhile: what they store is alive.
    const auto clear_if_dead = [&](WordKind kind, auto&& slot) {
      uintptr_t word = slot.load(std::memory_order_acquire);
      if (!is_dead(kind, word)) return;
      slot.compare_exchange_strong(word, cleared_word,
                                   std::memory_order_acq_rel,
                                   std::memory_order_relaxed);
    };
    for (GlobalRecord* g = globals_; g != nullptr; g = g->next) {
      if (IsWeak(g->kind)) clear_if_dead(g->kind, g->word);
    }
    for (const RootRecord* r = heap_roots_; r != nullptr; r = r->next) {
      if (!IsWeak(r->kind)) continue;
      for (size_t i = 0; i < r->count; i++) {
        clear_if_dead(r->kind, std::atomic_ref<uintptr_t>(r->slots[i]));
      }
    }
  }
  // Destroys every fiber that this round has not visited: its owner is dead.
  void RemoveUnvisitedFibers() LOAM_EXCLUDES(mutex_);

  // Around a fork, so that the child finds the lists whole.
  void LockForFork() { mutex_.LockForFork(); }
  void UnlockAfterFork() { mutex_.UnlockAfterFork(); }

 private:
  struct ImmortalBlock {
    static constexpr size_t kObjects = 255;
    ImmortalBlock* next;
    uintptr_t objects[kObjects];
  };

  static bool IsWeak(WordKind kind) {
    return kind == WordKind::kWeakValue || kind == WordKind::kWeakPointer;
  }
  RootRecord* NewRecord(RootRecord** list, const char* name)
      LOAM_REQUIRES(mutex_);
  void Unlink(RootRecord* record) LOAM_REQUIRES(mutex_);
  void RemoveList(RootRecord** list) LOAM_REQUIRES(mutex_);
  void VisitFiber(Fiber* fiber, loam_visitor* visitor) LOAM_REQUIRES(mutex_);
  void UnlinkFiber(Fiber* fiber) LOAM_REQUIRES(mutex_);

  void* const owner_;
  Mutex<LockRank::kRootSet> mutex_;
  FixedPool<RootRecord> records_ LOAM_GUARDED_BY(mutex_);
  FixedPool<GlobalRecord> globals_pool_ LOAM_GUARDED_BY(mutex_);
  FixedPool<Fiber> fibers_pool_ LOAM_GUARDED_BY(mutex_);
  FixedPool<HandleBlock> handle_blocks_ LOAM_GUARDED_BY(mutex_);
  PersistentAllocator* const persistent_;
  RootRecord* heap_roots_ LOAM_GUARDED_BY(mutex_) = nullptr;
  RootRecord* weak_providers_ LOAM_GUARDED_BY(mutex_) = nullptr;
  GlobalRecord* globals_ LOAM_GUARDED_BY(mutex_) = nullptr;
  Fiber* fibers_ LOAM_GUARDED_BY(mutex_) = nullptr;
  std::atomic<uint64_t> fibers_destroyed_{0};  // written under mutex_
  ImmortalBlock* immortals_ LOAM_GUARDED_BY(mutex_) = nullptr;
  size_t immortal_count_ LOAM_GUARDED_BY(mutex_) = 0;  // in the newest block
};

}  // namespace loam

#endif  // LOAM_RUNTIME_GC_ROOT_SET_H_
