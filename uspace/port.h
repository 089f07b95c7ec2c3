/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What the files of uspace/ share among themselves. See port.c. */
#ifndef KSPAN_USPACE_PORT_H
#define KSPAN_USPACE_PORT_H

#include <kspan/heap.h>

extern bool kspan_user_warn KSPAN_HIDDEN;
extern struct kspan_source kspan_mmap_source KSPAN_HIDDEN;

/* port.c */
extern port_mutex_t port_start_lock KSPAN_HIDDEN;
extern int port_report_fd KSPAN_HIDDEN;

/* slots.c */
extern port_mutex_t port_sets_lock KSPAN_HIDDEN;
void port_slots_after_fork(void) KSPAN_HIDDEN;
void port_slots_shut(struct kspan_slotset *ss) KSPAN_HIDDEN;
void port_slots_unshut(struct kspan_slotset *ss) KSPAN_HIDDEN;
bool port_slots_shut_here(void) KSPAN_HIDDEN;
void port_slots_start(void) KSPAN_HIDDEN;
void port_slots_thread_exit(void *unused) KSPAN_HIDDEN;

/* background.c */
extern bool kspan_background KSPAN_HIDDEN;
/* The scavenger's thread is what made the process one of several threads. */
extern bool port_background_first KSPAN_HIDDEN;
extern port_mutex_t port_background_lock KSPAN_HIDDEN;
/* Code that calls malloc() and free() with locks held which pthread_create() takes. */
extern struct port_code {
	uintptr_t start;
	size_t nbytes;
} port_loader KSPAN_HIDDEN;
/* Calls by it that this thread is in: no thread is made. */
extern __thread u32 port_nquiet KSPAN_HIDDEN __attribute__((tls_model("initial-exec")));
void port_background_start(u32 epoch_ms) KSPAN_HIDDEN;
void port_background_after_fork(void) KSPAN_HIDDEN;

/* fork.c */
void port_fork_start(void) KSPAN_HIDDEN;

/* cgroup.c */
u64 port_cgroup_limit(const char *self, const char *top) KSPAN_HIDDEN;
void port_cgroup_adopt(struct kspan_heap *heap) KSPAN_HIDDEN;

/* What is asked of the kernel for the memory of objects. */
enum kspan_thp {
	KSPAN_THP_DEFAULT,
	KSPAN_THP_ALWAYS,
	KSPAN_THP_NEVER,
};

/* options.c */
extern enum kspan_thp kspan_thp KSPAN_HIDDEN;
extern bool kspan_limit_given KSPAN_HIDDEN;
extern bool kspan_stats_exit KSPAN_HIDDEN;
void options_parse(struct kspan_config *config) KSPAN_HIDDEN;

/**
 * struct malloc_nested - what happened in handlers that interrupted a heap lock
 * @nalloc: objects of the region for it
 * @nfree: of these, freed
 *
 * Both atomic.
 */
struct malloc_nested {
	u64 nalloc;
	u64 nfree;
};

/* malloc_nested.c */
extern struct malloc_nested malloc_nested KSPAN_HIDDEN;
bool malloc_nested_owns(const void *ptr) KSPAN_HIDDEN;
void *malloc_nested_alloc(size_t size, size_t align) KSPAN_HIDDEN;
size_t malloc_nested_size(const void *ptr) KSPAN_HIDDEN;
void malloc_nested_free(void *ptr) KSPAN_HIDDEN;

/**
 * struct malloc_new_forms - operators of C++ that others of malloc_new_forms.c call
 *
 * By their public names, which may be the program's. Filled in another file than
 * theirs, where no compiler can tell that they need not be.
 */
struct malloc_new_forms {
	void *(*new_array)(size_t size);
	void *(*new_array_aligned)(size_t size, size_t align);
	void (*delete_array)(void *ptr);
	void (*delete_array_aligned)(void *ptr, size_t align);
};

/* malloc_new.c */
extern const struct malloc_new_forms malloc_new_forms KSPAN_HIDDEN;

/* print.c */
struct kspan_stats *kspan_stats_take(struct kspan_heap *heap) KSPAN_HIDDEN;
void kspan_stats_drop(struct kspan_stats *stats) KSPAN_HIDDEN;
void kspan_print_stats(struct kspan_heap *heap) KSPAN_HIDDEN;
void kspan_stats_keep_stderr(void) KSPAN_HIDDEN;

#endif /* KSPAN_USPACE_PORT_H */
