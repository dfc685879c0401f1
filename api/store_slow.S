// loam_store_slow(m, object, slot, word): the slow path of the store barrier.
// Compiled code calls it in the middle of a store, so it preserves every general
// and vector register that a called function may otherwise change (not the
// flags; on AArch64 not x16 and x17, which a linker's veneers use).
//
// Vector registers are saved at the width that this library is compiled for: in
// the usual builds the 128 bits of SSE2 or of Advanced SIMD. Wider parts stay as
// they are on x86-64, unless a decode callback of the embedder's changes them;
// an AVX build clears what lies above 256 bits, and AArch64 what SVE has above
// 128.

#if defined(__x86_64__)

#if defined(__AVX512F__)
#error "save zmm0 to zmm31 and k0 to k7 here to compile for AVX-512"
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#define SAVE(n) vmovdqa %ymm##n, n * VECTOR_BYTES(%rsp)
#define RESTORE(n) vmovdqa n * VECTOR_BYTES(%rsp), %ymm##n
#else
#define VECTOR_BYTES 16
#define SAVE(n) movdqa %xmm##n, n * VECTOR_BYTES(%rsp)
#define RESTORE(n) movdqa n * VECTOR_BYTES(%rsp), %xmm##n
#endif

        .text
        .globl  loam_store_slow
        .type   loam_store_slow, @function
        .p2align 4
loam_store_slow:
        .cfi_startproc
#if defined(__CET__)
        endbr64
#endif
        pushq   %rbp
        .cfi_def_cfa_offset 16
        .cfi_offset %rbp, -16
        movq    %rsp, %rbp
        .cfi_def_cfa_register %rbp
        pushq   %rax
        pushq   %rcx
        pushq   %rdx
        pushq   %rsi
        pushq   %rdi
        pushq   %r8
        pushq   %r9
        pushq   %r10
        pushq   %r11
        subq    $(16 * VECTOR_BYTES), %rsp
        andq    $-VECTOR_BYTES, %rsp
        SAVE(0)
        SAVE(1)
        SAVE(2)
        SAVE(3)
        SAVE(4)
        SAVE(5)
        SAVE(6)
        SAVE(7)
        SAVE(8)
        SAVE(9)
        SAVE(10)
        SAVE(11)
        SAVE(12)
        SAVE(13)
        SAVE(14)
        SAVE(15)
        call    loam_store_barrier
        RESTORE(0)
        RESTORE(1)
        RESTORE(2)
        RESTORE(3)
        RESTORE(4)
        RESTORE(5)
        RESTORE(6)
        RESTORE(7)
        RESTORE(8)
        RESTORE(9)
        RESTORE(10)
        RESTORE(11)
        RESTORE(12)
        RESTORE(13)
        RESTORE(14)
        RESTORE(15)
        leaq    -72(%rbp), %rsp
        popq    %r11
        popq    %r10
        popq    %r9
        popq    %r8
        popq    %rdi
        popq    %rsi
        popq    %rdx
        popq    %rcx
        popq    %rax
        popq    %rbp
        .cfi_def_cfa %rsp, 8
        ret
        .cfi_endproc
        .size   loam_store_slow, .-loam_store_slow

#elif defined(__aarch64__)

#if defined(__ARM_FEATURE_SVE)
#error "save the whole of z0 to z31 and p0 to p15 here to compile for SVE"
#endif

        .text
        .globl  loam_store_slow
        .type   loam_store_slow, %function
        .p2align 4
loam_store_slow:
        .cfi_startproc
        hint    #34                     // bti c
        stp     x29, x30, [sp, #-16]!
        .cfi_def_cfa_offset 16
        .cfi_offset 29, -16
        .cfi_offset 30, -8
        mov     x29, sp
        .cfi_def_cfa_register 29
        stp     x0, x1, [sp, #-16]!
        stp     x2, x3, [sp, #-16]!
        stp     x4, x5, [sp, #-16]!
        stp     x6, x7, [sp, #-16]!
        stp     x8, x9, [sp, #-16]!
        stp     x10, x11, [sp, #-16]!
        stp     x12, x13, [sp, #-16]!
        stp     x14, x15, [sp, #-16]!
        str     x18, [sp, #-16]!
        stp     q0, q1, [sp, #-32]!
        stp     q2, q3, [sp, #-32]!
        stp     q4, q5, [sp, #-32]!
        stp     q6, q7, [sp, #-32]!
        stp     q8, q9, [sp, #-32]!
        stp     q10, q11, [sp, #-32]!
        stp     q12, q13, [sp, #-32]!
        stp     q14, q15, [sp, #-32]!
        stp     q16, q17, [sp, #-32]!
        stp     q18, q19, [sp, #-32]!
        stp     q20, q21, [sp, #-32]!
        stp     q22, q23, [sp, #-32]!
        stp     q24, q25, [sp, #-32]!
        stp     q26, q27, [sp, #-32]!
        stp     q28, q29, [sp, #-32]!
        stp     q30, q31, [sp, #-32]!
        bl      loam_store_barrier
        ldp     q30, q31, [sp], #32
        ldp     q28, q29, [sp], #32
        ldp     q26, q27, [sp], #32
        ldp     q24, q25, [sp], #32
        ldp     q22, q23, [sp], #32
        ldp     q20, q21, [sp], #32
        ldp     q18, q19, [sp], #32
        ldp     q16, q17, [sp], #32
        ldp     q14, q15, [sp], #32
        ldp     q12, q13, [sp], #32
        ldp     q10, q11, [sp], #32
        ldp     q8, q9, [sp], #32
        ldp     q6, q7, [sp], #32
        ldp     q4, q5, [sp], #32
        ldp     q2, q3, [sp], #32
        ldp     q0, q1, [sp], #32
        ldr     x18, [sp], #16
        ldp     x14, x15, [sp], #16
        ldp     x12, x13, [sp], #16
        ldp     x10, x11, [sp], #16
        ldp     x8, x9, [sp], #16
        ldp     x6, x7, [sp], #16
        ldp     x4, x5, [sp], #16
        ldp     x2, x3, [sp], #16
        ldp     x0, x1, [sp], #16
        ldp     x29, x30, [sp], #16
        .cfi_def_cfa 31, 0
        ret
        .cfi_endproc
        .size   loam_store_slow, .-loam_store_slow

#endif

        .section .note.GNU-stack, "", %progbits
