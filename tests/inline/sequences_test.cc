// The instruction sequences that loam_inline.h gives to compilers and JITs, run
// as they stand there, and what loam_store_slow promises its callers.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>

#include "api/loam.h"
#include "tests/api/test_heap.h"

#if defined(__x86_64__)

// void CallStoreSlow(const uint64_t* before, uint64_t* after): calls
// loam_store_slow with every register it must preserve set from `before`, and
// writes them all to `after`. The order: rax rcx rdx rsi rdi r8 r9 r10 r11,
// then two words for each of xmm0 to xmm15.
asm(R"(
        .text
        .type   CallStoreSlow, @function
CallStoreSlow:
        pushq   %rbx
        pushq   %r12
        subq    $8, %rsp
        movq    %rdi, %rbx
        movq    %rsi, %r12
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        movdqu  72 + 16 * \n(%rbx), %xmm\n
        .endr
        movq    (%rbx), %rax
        movq    8(%rbx), %rcx
        movq    16(%rbx), %rdx
        movq    24(%rbx), %rsi
        movq    32(%rbx), %rdi
        movq    40(%rbx), %r8
        movq    48(%rbx), %r9
        movq    56(%rbx), %r10
        movq    64(%rbx), %r11
        call    loam_store_slow
        movq    %rax, (%r12)
        movq    %rcx, 8(%r12)
        movq    %rdx, 16(%r12)
        movq    %rsi, 24(%r12)
        movq    %rdi, 32(%r12)
        movq    %r8, 40(%r12)
        movq    %r9, 48(%r12)
        movq    %r10, 56(%r12)
        movq    %r11, 64(%r12)
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        movdqu  %xmm\n, 72 + 16 * \n(%r12)
        .endr
        addq    $8, %rsp
        popq    %r12
        popq    %rbx
        ret
        .size   CallStoreSlow, .-CallStoreSlow
)");
extern "C" void CallStoreSlow(const uint64_t* before, uint64_t* after);

namespace loam_test {
namespace {

constexpr size_t kSavedWords = 9 + 2 * 16;

// Changes every vector register, as any function may.
uintptr_t ClobberingDecode(loam_word word) {
  asm volatile(R"(
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        pcmpeqd %%xmm\n, %%xmm\n
        .endr
      )"
               :
               :
               : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                 "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
                 "xmm15");
  return word;
}

TEST(SequencesTest, TheBarrierPreservesAllRegisters) {
  loam_options options = TestOptions();
  options.check.check_stores = 1;
  options.encoding.kind = LOAM_ENCODING_CALLBACK;
  options.encoding.decode = ClobberingDecode;
  TestHeap heap(options);
  auto* object = static_cast<loam_word*>(loam_alloc_slots(heap.m(), 4));
  heap.kept.push_back(object);
  for (uint64_t round = 1; round < 100; round++) {
    uint64_t before[kSavedWords];
    uint64_t after[kSavedWords] = {};
    for (size_t i = 0; i < kSavedWords; i++) {
      before[i] = (round * 0x9e3779b97f4a7c15u) ^ (i * 0x2545f4914f6cdd1du);
    }
    const loam_word word = reinterpret_cast<loam_word>(
        round % 2 == 0 ? nullptr : loam_alloc_slots(heap.m(), 2));
    before[1] = word;
    before[2] = reinterpret_cast<uint64_t>(&object[round % 4]);
    before[3] = reinterpret_cast<uint64_t>(object);
    before[4] = reinterpret_cast<uint64_t>(heap.m());
    CallStoreSlow(before, after);
    for (size_t i = 0; i < kSavedWords; i++) {
      ASSERT_EQ(after[i], before[i]) << "word " << i;
    }
    object[round % 4] = word;
  }
  // The stores were recorded: what they say is there is.
  heap.Collect();
}

constexpr size_t kSafepoint = offsetof(loam_mutator_abi, safepoint);
constexpr size_t kBarrier = offsetof(loam_mutator_abi, barrier);
constexpr size_t kStack = offsetof(loam_mutator_abi, stack);

// rdi, rsi, rdx and rcx as in the header's text.
bool PollSequence(loam_mutator* m) {
  bool slow;
  asm volatile("cmpl $0, %c2(%1)" : "=@ccne"(slow) : "D"(m), "i"(kSafepoint));
  return slow;
}

void StoreSequence(loam_mutator* m, void* object, void* slot, loam_word word) {
  // The red zone is the compiler's: the call must not write to it.
  asm volatile(R"(
        cmpl    $0, %c4(%%rdi)
        jne     1f
    0:  movq    %%rcx, (%%rdx)
        jmp     2f
    1:  leaq    -128(%%rsp), %%rsp
        call    loam_store_slow
        leaq    128(%%rsp), %%rsp
        jmp     0b
    2:
      )"
               :
               : "D"(m), "S"(object), "d"(slot), "c"(word), "i"(kBarrier)
               : "memory", "cc");
}

struct FrameOfTwo {
  loam_frame frame;
  loam_word slots[2];
};

void PushSequence(loam_mutator* m, FrameOfTwo* f, const loam_frame_map* map) {
  asm volatile(R"(
        movq    %c3(%0), %%rax
        movq    (%%rax), %%rcx
        movq    %%rcx, (%1)
        movq    %2, 8(%1)
        movq    %%rax, 16(%1)
        xorl    %%edx, %%edx
        movq    %%rdx, 24(%1)
        movq    %%rdx, 32(%1)
        movq    %1, (%%rax)
      )"
               :
               : "r"(m), "r"(f), "r"(map), "i"(kStack)
               : "rax", "rcx", "rdx", "memory", "cc");
}

void PopSequence(FrameOfTwo* f) {
  asm volatile(R"(
        movq    16(%0), %%rax
        movq    (%0), %%rcx
        movq    %%rcx, (%%rax)
      )"
               :
               : "r"(f)
               : "rax", "rcx", "memory");
}

void* AllocateSequence(loam_mutator* m, const loam_type* type,
                       size_t cursor_offset, size_t cell_size) {
  void* object;
  asm volatile(R"(
        movq    (%1, %2), %0
        leaq    (%0, %3), %%rcx
        cmpq    8(%1, %2), %%rcx
        ja      1f
        movq    %%rcx, (%1, %2)
        jmp     2f
    1:  xorl    %k0, %k0
    2:
      )"
               : "=&r"(object)
               : "r"(m), "r"(cursor_offset), "r"(cell_size)
               : "rcx", "memory", "cc");
  return object != nullptr ? object : loam_alloc_slow(m, type);
}

// A program in which everything that touches the heap is one of the sequences,
// collecting as often as it can, stores checked.
TEST(SequencesTest, AProgramMadeOfThem) {
  static const loam_frame_map kMap = {2, LOAM_POINTER, nullptr, "sequence"};
  for (const bool checked : {false, true}) {
    loam_options options = TestOptions();
    options.check.check_stores = checked;
    options.check.stress_interval = checked ? 3 : 0;
    TestHeap heap(options);
    const loam_type* type = RegisterNode(heap.types());
    loam_jit_info info = {};
    info.struct_size = sizeof(info);
    ASSERT_EQ(loam_jit_info_get(&info), LOAM_OK);
    const auto* facts = reinterpret_cast<const char*>(type);
    const size_t cursor_offset =
        *reinterpret_cast<const uint32_t*>(facts + info.type_cursor_offset);
    const size_t cell_size =
        *reinterpret_cast<const uint32_t*>(facts + info.type_cell_size);
    ASSERT_EQ(PollSequence(heap.m()), checked) << "checking polls always";

    constexpr uint64_t kNodes = 2000;
    FrameOfTwo f;
    PushSequence(heap.m(), &f, &kMap);
    for (uint64_t i = 0; i < kNodes; i++) {
      auto* node = static_cast<Node*>(
          AllocateSequence(heap.m(), type, cursor_offset, cell_size));
      ASSERT_NE(node, nullptr);
      ASSERT_EQ(node->left, nullptr);
      node->number = i;
      StoreSequence(heap.m(), node, &node->left, f.slots[0]);
      f.slots[0] = reinterpret_cast<loam_word>(node);
      if (PollSequence(heap.m())) loam_safepoint_slow(heap.m());
    }
    heap.Collect();
    EXPECT_EQ(heap.Stats().live_objects, kNodes);
    uint64_t expected = kNodes;
    for (auto* node = reinterpret_cast<Node*>(f.slots[0]); node != nullptr;
         node = node->left) {
      ASSERT_EQ(node->number, --expected);
    }
    EXPECT_EQ(expected, 0u);
    PopSequence(&f);
    heap.Collect();
    EXPECT_EQ(heap.Stats().live_objects, 0u);
  }
}

}  // namespace
}  // namespace loam_test

#endif  // defined(__x86_64__)
