// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * vfork(): a child that runs on its parent's memory and stack until it execs.
 *
 * POSIX lets it do nothing but that; programs allocate there all the same. With
 * slots of CPUs that would go wrong: the kernel takes a child with shared memory
 * off restartable sequences (rseq_fork()), so that the index the child reads is
 * its parent's of long ago, and nothing restarts the child when it is preempted.
 * Another thread may then be in the same slot at the same time. pthread_atfork()
 * handlers do not run for a vfork(). So the library has its own: while there is
 * such a child every thread finds the slots closed, as in a frozen heap, and
 * goes by way of the locks. Slots of threads need none of this: the parent, whose
 * thread's the child uses, does not run.
 *
 * Both processes return from the same frame, and what the child calls next writes
 * over it, so the return address waits in a register meanwhile.
 *
 * Not covered, since nothing of ours runs then: clone(CLONE_VM) without
 * CLONE_THREAD. The C library does that in posix_spawn(), system() and popen(), and
 * allocates nothing in the child. Nor a vfork() in a signal handler that has
 * interrupted a lock of the heap: its child must not allocate.
 */
#include <unistd.h>
#include "port.h"

#if RSEQ_ARCH

#define EXPORT	__attribute__((visibility("default")))

/* Called by the assembly below alone. */
#define USED	KSPAN_HIDDEN __attribute__((used))

USED void kspan_vfork_enter(void);
USED long kspan_vfork_leave(long ret);

void kspan_vfork_enter(void)
{
	int saved = errno;

	if (!port_is_nested() && heap_ready(&kspan_heap0))
		port_slots_shut(&kspan_heap0.slots);
	errno = saved;
}

/* In the parent: @ret is the child's pid or an error below zero. */
long kspan_vfork_leave(long ret)
{
	int saved = errno;

	port_slots_unshut(&kspan_heap0.slots);
	errno = ret < 0 ? -ret : saved;
	return ret < 0 ? -1 : ret;
}

#define TEXT(name)	".pushsection .text\n\t.balign 16\n\t"		\
			".globl " #name "\n\t.type " #name ", %function\n" #name ":\n\t"
#define END(name)	"\n\t.size " #name ", . - " #name "\n\t.popsection\n"

#if defined(__x86_64__)

/* 58: __NR_vfork; rdi survives it */
__asm__(TEXT(vfork)
	"subq $8, %rsp\n\t"
	"call kspan_vfork_enter\n\t"
	"addq $8, %rsp\n\t"
	"popq %rdi\n\t"
	"movl $58, %eax\n\t"
	"syscall\n\t"
	"pushq %rdi\n\t"
	"movq %rax, %rdi\n\t"
	"testq %rax, %rax\n\t"
	"jne kspan_vfork_leave\n\t"
	"ret"
	END(vfork));

#elif defined(__aarch64__)

/* 220: __NR_clone, 0x4111: CLONE_VFORK | CLONE_VM | SIGCHLD; x30 survives it */
__asm__(TEXT(vfork)
	"stp x29, x30, [sp, -16]!\n\t"
	"bl kspan_vfork_enter\n\t"
	"ldp x29, x30, [sp], 16\n\t"
	"mov x0, 0x4111\n\t"
	"mov x1, 0\n\t"
	"mov x2, 0\n\t"
	"mov x3, 0\n\t"
	"mov x4, 0\n\t"
	"mov x8, 220\n\t"
	"svc 0\n\t"
	"cbnz x0, kspan_vfork_leave\n\t"
	"ret"
	END(vfork));

#endif

#endif /* RSEQ_ARCH */
