/* Lets programs see a CPU without AVX-512, so that one with it can time what others would run.

       cc -O2 -shared -fPIC -o no_avx512.so benches/peers/no_avx512.c
       LD_PRELOAD=$PWD/no_avx512.so python benches/inference_peer.py …

   Linux makes the instruction CPUID fault (arch_prctl, where the CPU can: cpuid_fault in /proc/cpuinfo); the handler
   answers in its place, with the bits of AVX-512 and AMX taken out. Caches and clock stay those of the CPU at hand. */

#define _GNU_SOURCE
#include <asm/prctl.h>
#include <cpuid.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

/* Of leaf 7: foundation, DQ, IFMA, PF, ER, CD, BW, VL; VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ; 4VNNIW, 4FMAPS,
   VP2INTERSECT, AMX and FP16; of its first sub-leaf AVX-VNNI, BF16 and AMX-FP16. */
#define LEAF_7_EBX (1u << 16 | 1u << 17 | 1u << 21 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 30 | 1u << 31)
#define LEAF_7_ECX (1u << 1 | 1u << 6 | 1u << 11 | 1u << 12 | 1u << 14)
#define LEAF_7_EDX (1u << 2 | 1u << 3 | 1u << 8 | 1u << 22 | 1u << 23 | 1u << 24 | 1u << 25)
#define LEAF_7_1_EAX (1u << 4 | 1u << 5 | 1u << 21)

static long cpuid_faults(int no) { return syscall(SYS_arch_prctl, ARCH_SET_CPUID, !no); }

static void answer(int signal_number, siginfo_t *info, void *context) {
    (void)info;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *instruction = (const unsigned char *)registers[REG_RIP];
    if (instruction[0] != 0x0f || instruction[1] != 0xa2) {
        signal(signal_number, SIG_DFL); /* a fault of the program's own: let it come again */
        return;
    }
    unsigned leaf = registers[REG_RAX], sub_leaf = registers[REG_RCX], a, b, c, d;
    cpuid_faults(0);
    __cpuid_count(leaf, sub_leaf, a, b, c, d);
    cpuid_faults(1);
    if (leaf == 7 && sub_leaf == 0) {
        b &= ~LEAF_7_EBX;
        c &= ~LEAF_7_ECX;
        d &= ~LEAF_7_EDX;
    } else if (leaf == 7 && sub_leaf == 1) {
        a &= ~LEAF_7_1_EAX;
    }
    registers[REG_RAX] = a;
    registers[REG_RBX] = b;
    registers[REG_RCX] = c;
    registers[REG_RDX] = d;
    registers[REG_RIP] += 2;
}

__attribute__((constructor)) static void begin(void) {
    struct sigaction action = {.sa_sigaction = answer, .sa_flags = SA_SIGINFO | SA_NODEFER};
    if (sigaction(SIGSEGV, &action, NULL) != 0 || cpuid_faults(1) != 0) {
        fputs("no_avx512: this CPU or kernel cannot make CPUID fault\n", stderr);
        exit(1);
    }
}
