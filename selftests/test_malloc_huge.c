// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * realloc() of objects with a mapping of their own: pages move instead of being
 * copied, the heap stays sound at each step, and a system that will not move them
 * costs a copy and nothing else.
 */
#define _GNU_SOURCE
#include "kselftest_harness.h"
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "port.h"

#define MIB	((size_t)1 << 20)

/* A page source that counts, and moves only when it is told to. */
static bool may_move;
static u32 nmoved, nrefused;

static bool counted_move(struct kspan_source *src, void *from, size_t nbytes, void *to,
			 size_t want)
{
	if (!__atomic_load_n(&may_move, __ATOMIC_RELAXED)) {
		__atomic_fetch_add(&nrefused, 1, __ATOMIC_RELAXED);
		return false;
	}
	__atomic_fetch_add(&nmoved, 1, __ATOMIC_RELAXED);
	return kspan_mmap_source.move(src, from, nbytes, to, want);
}

FIXTURE(huge) {
	struct kspan_heap heap;
	struct kspan_source source;
};

FIXTURE_SETUP(huge)
{
	struct kspan_config config = {
		.source = &self->source,
		.cache_bytes = 1 << 20,
		.stack_bytes = 64 << 10,
		.stack_objs = 64,
	};

	self->source = kspan_mmap_source;
	self->source.move = counted_move;
	may_move = true;
	nmoved = nrefused = 0;
	ASSERT_EQ(0, heap_init(&self->heap, &config));
}

FIXTURE_TEARDOWN(huge)
{
	EXPECT_EQ(0, heap_verify(&self->heap));
	EXPECT_EQ(0, self->heap.large_bytes);
	EXPECT_EQ(0, heap_destroy(&self->heap));
}

static void mark(char *p, size_t from, size_t to)
{
	size_t i;

	for (i = (from + MIB / 2 - 1) & -(MIB / 2); i < to; i += MIB / 2)
		*(size_t *)(p + i) = i + 1;
}

static bool is_marked(const char *p, size_t to)
{
	size_t i;

	for (i = 0; i < to; i += MIB / 2)
		if (*(const size_t *)(p + i) != i + 1)
			return false;
	return true;
}

static char *resize(struct kspan_heap *heap, char *p, size_t size)
{
	return heap_realloc(heap, p, size, GFP_KERNEL, 0);
}

TEST_F(huge, grows_without_a_copy)
{
	struct kspan_heap *heap = &self->heap;
	size_t have = 5 * MIB, size, i;
	char *p = heap_alloc_slow(heap, have, false, GFP_KERNEL, 0);

	mark(p, 0, have);
	for (size = 9 * MIB; size < 300 * MIB; size = size * 3 / 2) {
		p = resize(heap, p, size);
		ASSERT_NE(NULL, p);
		ASSERT_LE(size, heap_size(heap, p));
		ASSERT_TRUE(is_marked(p, have));
		for (i = (have + 4095) & -4096ul; i + 8 <= size; i += 4096)
			ASSERT_EQ(0, *(size_t *)(p + i));
		mark(p, have, size);
		have = size;
		ASSERT_EQ(0, heap_verify(heap));
	}
	ASSERT_LE(5, nmoved);
	ASSERT_EQ(0, nrefused);
	heap_free(heap, p, 0);
}

TEST_F(huge, shrinks_where_it_is)
{
	struct kspan_heap *heap = &self->heap;
	char *p = heap_alloc_slow(heap, 200 * MIB, false, GFP_KERNEL, 0), *q;
	size_t size;

	mark(p, 0, 200 * MIB);
	for (size = 90 * MIB; size > 5 * MIB; size = size * 2 / 5) {
		q = resize(heap, p, size);
		ASSERT_EQ(p, q);
		ASSERT_TRUE(is_marked(p, size));
		ASSERT_GT(size + 4 * MIB, heap_size(heap, p));
		ASSERT_EQ(NULL, pagemap_find(heap, (uintptr_t)p + heap_size(heap, p)));
		ASSERT_EQ(0, heap_verify(heap));
	}
	p = resize(heap, p, MIB);
	ASSERT_TRUE(is_marked(p, MIB));
	ASSERT_EQ(0, nmoved);
	heap_free(heap, p, 0);
}

TEST_F(huge, copies_when_it_must)
{
	struct kspan_heap *heap = &self->heap;
	char *p = heap_alloc_slow(heap, 20 * MIB, false, GFP_KERNEL, 0);

	may_move = false;
	mark(p, 0, 20 * MIB);
	p = resize(heap, p, 50 * MIB);
	ASSERT_NE(NULL, p);
	ASSERT_EQ(1, nrefused);
	ASSERT_TRUE(is_marked(p, 20 * MIB));
	ASSERT_EQ(0, heap_verify(heap));
	heap_free(heap, p, 0);
}

/* The pages of two mappings with different rights: some kernels refuse to move them. */
TEST_F(huge, survives_a_refusal_of_the_kernel)
{
	struct kspan_heap *heap = &self->heap;
	char *p = heap_alloc_slow(heap, 20 * MIB, false, GFP_KERNEL, 0);

	mark(p, 0, 20 * MIB);
	ASSERT_EQ(0, madvise(p + 8 * MIB, 4 * MIB, MADV_DONTDUMP));
	p = resize(heap, p, 50 * MIB);
	ASSERT_NE(NULL, p);
	ASSERT_TRUE(is_marked(p, 20 * MIB));
	heap_free(heap, p, 0);
}

TEST_F(huge, keeps_the_hard_limit)
{
	struct kspan_heap *heap = &self->heap;
	char *p = heap_alloc_slow(heap, 20 * MIB, false, GFP_KERNEL, 0);

	mark(p, 0, 20 * MIB);
	heap->config.limit_hard = 30 * MIB;
	ASSERT_EQ(NULL, resize(heap, p, 50 * MIB));
	ASSERT_TRUE(is_marked(p, 20 * MIB));
	ASSERT_EQ(0, nmoved);
	heap_free(heap, p, 0);
}

static void *many(void *arg)
{
	struct kspan_heap *heap = arg;
	char *p = NULL;
	u32 i;

	for (i = 0; i < 48; i++) {
		size_t size = (5 + i * 7 % 60) * MIB;

		if (i % 8 == 0)
			__atomic_store_n(&may_move, i % 16 == 0, __ATOMIC_RELAXED);
		p = resize(heap, p, size);
		if (!p || (i && *(size_t *)p != (size_t)p[0]))
			abort();
		*(size_t *)p = i % 100;
		((char *)p)[size - 1] = 1;
	}
	heap_free(heap, p, 0);
	return NULL;
}

/* Others take and leave the same addresses meanwhile; the heap is looked at as well. */
TEST_F_TIMEOUT(huge, beside_others, 600)
{
	pthread_t thread[4];
	u32 i;

	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, many, &self->heap));
	for (i = 0; i < 50; i++)
		ASSERT_EQ(0, heap_verify(&self->heap));
	for (i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	ASSERT_LT(0, nmoved);
	ASSERT_LT(0, nrefused);
}

TEST_HARNESS_MAIN
