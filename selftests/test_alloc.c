// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * alloc.c and everything below it: a model that knows of every object where it
 * is, how long and what is in it, driven at random over all entry points, alone
 * and by threads; and a scripted user whose every page request is refused in
 * turn.
 */
#include "testheap.h"

static struct testheap test;
static struct kspan_heap *const heap = &test.heap;

/* The entry points: those of a private heap, and the public ones. */
struct api {
	void *(*alloc)(size_t size);
	void *(*zalloc)(size_t size);
	void *(*noscan)(size_t size);
	void *(*aligned)(size_t size, size_t align);
	void *(*realloc)(void *ptr, size_t size, gfp_t flags);
	size_t (*bulk)(size_t size, size_t n, void **objs);
	void (*free)(void *ptr, size_t size, u32 how);
	void (*free_rcu)(void *ptr);
	size_t (*size)(const void *ptr);
	size_t (*release)(void);
	int (*verify)(void);
	struct kspan_cache *(*cache_create)(const char *name, size_t size, u32 flags,
					    void (*ctor)(void *obj));
};

static void *own_alloc(size_t size)
{
	return get(heap, size);
}

static void *own_zalloc(size_t size)
{
	return heap_zalloc(heap, size, false, GFP_KERNEL, 0);
}

static void *own_noscan(size_t size)
{
	if (size && size < KSPAN_TINY_SIZE && !heap->checked)
		return tiny_alloc(heap, size, GFP_KERNEL, 0);
	return get_noscan(heap, size);
}

static void *own_aligned(size_t size, size_t align)
{
	return heap_alloc_aligned(heap, size, align, GFP_KERNEL, 0);
}

static void *own_realloc(void *ptr, size_t size, gfp_t flags)
{
	return heap_realloc(heap, ptr, size, flags, 0);
}

static size_t own_bulk(size_t size, size_t n, void **objs)
{
	u32 stack = span_class(size_to_class(size), false);
	u32 i, got;

	got = cache_alloc_bulk(&heap->slots, heap_central(heap, stack, 0), GFP_KERNEL, n, objs,
			       0);
	/* as kspan_alloc_bulk(): the record of an earlier life says that it is free */
	for (i = 0; heap_checked(heap) && i < got; i++)
		debug_alloc(heap, objs[i], size, GFP_KERNEL, 0);
	for (i = 0; got < n && i < got; i++)
		put(heap, objs[i]);
	return got < n ? 0 : n;
}

static void own_free(void *ptr, size_t size, u32 how)
{
	put(heap, ptr);
}

static void own_free_rcu(void *ptr)
{
	heap_free_rcu(heap, ptr);
}

static size_t own_size(const void *ptr)
{
	return heap_size(heap, ptr);
}

static bool epochs;	/* end one now and then instead of releasing everything */

static size_t own_release(void)
{
	return epochs ? heap_scavenge(heap) : heap_release_memory(heap);
}

static int own_verify(void)
{
	return heap_verify(heap);
}

static struct kspan_cache *own_cache_create(const char *name, size_t size, u32 flags,
					    void (*ctor)(void *obj))
{
	return cache_create(heap, name, size, 0, flags, ctor);
}

static const struct api own_api = {
	own_alloc, own_zalloc, own_noscan, own_aligned, own_realloc, own_bulk, own_free,
	own_free_rcu, own_size, own_release, own_verify, own_cache_create,
};

static void *public_alloc(size_t size)
{
	return kspan_alloc(size, GFP_KERNEL);
}

static void *public_zalloc(size_t size)
{
	return size & 1 ? kspan_zalloc(size, GFP_KERNEL) : kspan_zalloc_array(size, 1, GFP_ATOMIC);
}

static void *public_noscan(size_t size)
{
	return kspan_alloc_noscan(size, GFP_KERNEL);
}

static void *public_aligned(size_t size, size_t align)
{
	return kspan_alloc_aligned(size, align, GFP_KERNEL);
}

static size_t public_bulk(size_t size, size_t n, void **objs)
{
	return kspan_alloc_bulk(size, GFP_KERNEL, n, objs);
}

static void public_free(void *ptr, size_t size, u32 how)
{
	switch (how % 4) {
	case 0:
		kspan_free_sized(ptr, size);
		break;
	case 1:
		kspan_free_sensitive(ptr);
		break;
	case 2:
		kspan_free_bulk(1, &ptr);
		break;
	default:
		kspan_free(ptr);
	}
}

static void public_free_rcu(void *ptr)
{
	kspan_free_rcu(ptr);
}

static struct kspan_cache *public_cache_create(const char *name, size_t size, u32 flags,
					       void (*ctor)(void *obj))
{
	return kspan_cache_create(name, size, 0, flags, ctor);
}

static const struct api public_api = {
	public_alloc, public_zalloc, public_noscan, public_aligned, kspan_realloc, public_bulk,
	public_free, public_free_rcu, kspan_size, kspan_release_memory, kspan_verify,
	public_cache_create,
};

/* The model */

struct object {
	u8 *ptr;
	size_t size;
	u64 id;
	struct kspan_cache *cache;
};

#define NCACHES		3

/**
 * struct user - somebody who allocates
 * @api: how
 * @seed: of what is done
 * @next_id: of the next object
 * @n: objects held
 * @obj: the objects
 * @cache: object caches, common to all users of a heap
 */
struct user {
	const struct api *api;
	u64 seed;
	u64 next_id;
	u32 n;
	struct object obj[600];
	struct kspan_cache **cache;
};

static const size_t cache_sizes[NCACHES] = { 40, 200, 3000 };

static u32 user_random(struct user *user, u32 n)
{
	return random_below(&user->seed, n);
}

/* Mostly small ones, as programs have them; now and then one of any size. */
static size_t user_size(struct user *user)
{
	switch (user_random(user, 64)) {
	case 0:
		return KSPAN_MAX_SMALL_SIZE - 64 + user_random(user, 128);
	case 1:
		return 1 + user_random(user, 2 * MIB);
	case 2:
		return user_random(user, 16) ? 40000 : 1 + user_random(user, 9 * MIB);
	case 3 ... 10:
		return 1 + user_random(user, KSPAN_MAX_SMALL_SIZE);
	case 11 ... 30:
		return 1 + user_random(user, 2048);
	default:
		return 1 + user_random(user, 128);
	}
}

/* Whether a new object of @size bytes may be at @ptr; fill it and keep it. */
static struct object *user_keep(struct user *user, void *ptr, size_t size)
{
	struct object *object = &user->obj[user->n];

	if (!ptr)
		return NULL;
	must(user->api->size(ptr) >= size);
	object->ptr = ptr;
	object->size = size;
	object->id = user->next_id++;
	object->cache = NULL;
	pattern_write(ptr, size, object->id);
	user->n++;
	return object;
}

static void object_check(const struct object *object)
{
	must(pattern_holds(object->ptr, object->size, object->size, object->id));
}

static struct object user_drop(struct user *user)
{
	u32 i = user_random(user, user->n);
	struct object object = user->obj[i];

	object_check(&object);
	user->obj[i] = user->obj[--user->n];
	return object;
}

static void user_free(struct user *user, struct object object)
{
	if (object.cache) {
		/* half of them by the way that all objects can go */
		if (object.id & 1)
			kspan_cache_free(object.cache, object.ptr);
		else
			user->api->free(object.ptr, object.size, 3);
	} else {
		user->api->free(object.ptr, object.size, object.id);
	}
}

static void user_alloc(struct user *user)
{
	size_t size = user_size(user), align;
	void *ptr;

	switch (user_random(user, 6)) {
	case 0:
		ptr = user->api->zalloc(size);
		must(!ptr || all_zero(ptr, size));
		break;
	case 1:
		ptr = user->api->noscan(size);
		break;
	case 2:
		ptr = user->api->noscan(1 + user_random(user, 16));
		size = ptr ? 1 : size;
		break;
	case 3:
		align = 1u << user_random(user, user_random(user, 50) ? 13 : 24);
		ptr = user->api->aligned(size, align);
		must(!((uintptr_t)ptr & (align - 1)));
		break;
	default:
		ptr = user->api->alloc(size);
		if (size <= KSPAN_MAX_SMALL_SIZE && !(size & (size - 1)))
			must(!((uintptr_t)ptr & (size - 1)));
	}
	user_keep(user, ptr, size);
}

static void user_bulk(struct user *user)
{
	size_t size = 1 + user_random(user, 600), n = 1 + user_random(user, 100);
	void *objs[100];

	if (user->n + n > ARRAY_SIZE(user->obj) || user->api->bulk(size, n, objs) != n)
		return;
	while (n--)
		user_keep(user, objs[n], size);
}

static void user_cache_alloc(struct user *user)
{
	u32 i, k = user_random(user, NCACHES), n = user_random(user, 10) ? 1 : 60;
	struct kspan_cache *cache = user->cache[k];
	void *objs[60];

	if (!cache || user->n + n > ARRAY_SIZE(user->obj))
		return;
	if (n > 1) {
		n = kspan_cache_alloc_bulk(cache, GFP_KERNEL, n, objs);
	} else if (user_random(user, 2)) {
		objs[0] = kspan_cache_zalloc(cache, GFP_KERNEL);
		must(!objs[0] || all_zero(objs[0], cache_sizes[k]));
	} else {
		objs[0] = kspan_cache_alloc(cache, GFP_KERNEL);
	}
	for (i = 0; i < n; i++)
		if (user_keep(user, objs[i], cache_sizes[k]))
			user->obj[user->n - 1].cache = cache;
}

/* Its contents come along; when it fails, it was not touched. */
static void user_realloc(struct user *user)
{
	struct object old = user_drop(user), *new;
	size_t size = user_size(user);
	bool zero = user_random(user, 2);
	size_t have = user->api->size(old.ptr);
	u8 *ptr;

	ptr = user->api->realloc(old.ptr, size, GFP_KERNEL | (zero ? __GFP_ZERO : 0));
	if (!ptr) {
		object_check(&old);
		user->obj[user->n++] = old;
		return;
	}
	if (size >= old.size)
		must(pattern_holds(ptr, old.size, old.size, old.id));
	else
		must(pattern_holds(ptr, size, old.size, old.id));
	if (zero && size > have)
		must(all_zero(ptr + have, size - have));
	new = user_keep(user, ptr, size);
	if (new && ptr == old.ptr)
		new->cache = old.cache;
}

static void user_step(struct user *user)
{
	bool full = user->n + 1 >= ARRAY_SIZE(user->obj);
	u32 what = user_random(user, 100);

	if (!user->n || (!full && what < 40))
		user_alloc(user);
	else if (what < 43)
		user_bulk(user);
	else if (!full && what < 50)
		user_cache_alloc(user);
	else if (what < 58)
		user_realloc(user);
	else if (what < 60)
		user->api->free_rcu(user_drop(user).ptr);
	else
		user_free(user, user_drop(user));
}

static void user_free_all(struct user *user)
{
	while (user->n)
		user_free(user, user_drop(user));
}

static void user_init(struct user *user, const struct api *api, u64 seed)
{
	static struct kspan_cache *caches[NCACHES];
	u32 i;

	user->api = api;
	user->seed = seed;
	user->next_id = seed << 40;
	user->n = 0;
	user->cache = caches;
	for (i = 0; i < NCACHES; i++)
		if (!caches[i])
			caches[i] = api->cache_create("test", cache_sizes[i],
						      i == 1 ? KSPAN_TYPESAFE_BY_RCU : 0, NULL);
}

static void user_end(struct user *user)
{
	u32 i;

	kspan_rcu_barrier();
	for (i = 0; i < NCACHES; i++) {
		must(!kspan_cache_destroy(user->cache[i]));
		user->cache[i] = NULL;
	}
	kspan_rcu_barrier();
}

static struct user users[4];

static void stress(const struct api *api, u64 seed, u32 rounds)
{
	struct user *user = &users[0];
	u32 i;

	user_init(user, api, seed);
	for (i = 0; i < rounds; i++) {
		user_step(user);
		if (i % 500 == 0)
			must(api->verify() == 0);
		if (user_random(user, epochs ? 100 : 2000) == 0)
			api->release();
	}
	must(api->verify() == 0);
	user_free_all(user);
	user_end(user);
	must(api->verify() == 0);
}

/* What is left of a quiet heap after its last object. */
static void check_nothing_live(struct kspan_heap *which)
{
	static struct kspan_stats stats;

	heap_release_memory(which);
	heap_get_stats(which, &stats);
	must(stats.nmalloc == stats.nfree);
	must(!stats.live_bytes && !stats.inuse_bytes && !stats.cached_bytes);
	must(!misuses(which));
	must(!heap_leaks(which, true));
}

FIXTURE(alloc) { };

FIXTURE_VARIANT(alloc) {
	bool kernel;
	bool checked;
};

FIXTURE_VARIANT_ADD(alloc, kernel) {
	.kernel = true,
};

FIXTURE_VARIANT_ADD(alloc, user) {
	.kernel = false,
};

FIXTURE_VARIANT_ADD(alloc, kernel_checked) {
	.kernel = true,
	.checked = true,
};

FIXTURE_VARIANT_ADD(alloc, user_checked) {
	.checked = true,
};

FIXTURE_SETUP(alloc)
{
	testheap_prepare(&test, variant->kernel, TEST_SPACE);
	test.config.debug.flags = variant->checked ? KSPAN_DEBUG_CHECK : 0;
	testheap_start(&test);
}

FIXTURE_TEARDOWN(alloc)
{
	check_nothing_live(heap);
	testheap_end(&test);
}

TEST_F(alloc, every_size)
{
	size_t size;

	for (size = 1; size <= 40000; size++) {
		u8 *obj = get(heap, size), *other = get_noscan(heap, size);

		ASSERT_NE(NULL, obj);
		ASSERT_NE(NULL, other);
		ASSERT_EQ(kspan_good_size(size), heap_size(heap, obj));
		ASSERT_EQ(kspan_good_size(size), heap_size(heap, other));
		ASSERT_FALSE(pagemap_span(heap, (uintptr_t)obj)->noscan);
		ASSERT_TRUE(pagemap_span(heap, (uintptr_t)other)->noscan);
		obj[0] = obj[size - 1] = other[0] = other[size - 1] = 1;
		put(heap, obj);
		put(heap, other);
	}
}

TEST_F(alloc, powers_of_two_are_aligned_to_themselves)
{
	void *objs[40];
	size_t size;
	u32 i;

	for (size = 8; size <= KSPAN_MAX_SMALL_SIZE; size *= 2) {
		for (i = 0; i < ARRAY_SIZE(objs); i++) {
			objs[i] = get(heap, size);
			ASSERT_EQ(0, (uintptr_t)objs[i] & (size - 1));
		}
		while (i--)
			put(heap, objs[i]);
	}
}

TEST_F(alloc, aligned)
{
	static const size_t sizes[] = { 1, 24, 100, 4096, 8193, 32769, 100000, 5 * MIB };
	size_t align;
	u32 i;

	for (align = 1; align <= 64 * MIB; align *= 2)
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			void *obj = heap_alloc_aligned(heap, sizes[i], align, GFP_KERNEL, 0);
			void *zero = heap_alloc_aligned(heap, sizes[i], align,
							GFP_KERNEL | __GFP_ZERO, 0);

			ASSERT_NE(NULL, obj);
			ASSERT_EQ(0, (uintptr_t)obj & (align - 1));
			ASSERT_EQ(0, (uintptr_t)zero & (align - 1));
			ASSERT_LE(sizes[i], heap_size(heap, obj));
			ASSERT_TRUE(all_zero(zero, sizes[i]));
			memset(obj, 0x77, sizes[i]);
			put(heap, obj);
			put(heap, zero);
		}
	ASSERT_EQ(0, heap_verify(heap));
}

TEST_F(alloc, bad_alignment)
{
	u64 nfail = heap->nfail;

	errno = 0;
	ASSERT_EQ(NULL, heap_alloc_aligned(heap, 8, 0, GFP_KERNEL, 0));
	ASSERT_EQ(EINVAL, errno);
	errno = 0;
	ASSERT_EQ(NULL, heap_alloc_aligned(heap, 8, 24, GFP_KERNEL, 0));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(nfail + 2, heap->nfail);
}

TEST_F(alloc, nothing_is_nothing)
{
	ASSERT_EQ(ZERO_SIZE_PTR, get(heap, 0));
	ASSERT_EQ(ZERO_SIZE_PTR, heap_zalloc(heap, 0, false, GFP_KERNEL, 0));
	ASSERT_EQ(ZERO_SIZE_PTR, heap_alloc_aligned(heap, 0, 64, GFP_KERNEL, 0));
	ASSERT_EQ(ZERO_SIZE_PTR, heap_realloc(heap, NULL, 0, GFP_KERNEL, 0));
	ASSERT_EQ(ZERO_SIZE_PTR, heap_realloc(heap, get(heap, 10), 0, GFP_KERNEL, 0));
	put(heap, NULL);
	put(heap, ZERO_SIZE_PTR);
	ASSERT_EQ(0, heap_size(heap, NULL));
	ASSERT_EQ(0, heap_size(heap, ZERO_SIZE_PTR));
}

TEST_F(alloc, absurd_sizes)
{
	static const size_t sizes[] = {
		(size_t)-1, (size_t)-2, (size_t)-4096, (size_t)-1 / 2, (size_t)1 << 62,
		(size_t)1 << 48, (size_t)1 << 45,
	};
	void *obj = get(heap, 100);
	u32 i;

	pattern_write(obj, 100, 1);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		errno = 0;
		ASSERT_EQ(NULL, get(heap, sizes[i]));
		ASSERT_EQ(ENOMEM, errno);
		ASSERT_EQ(NULL, heap_zalloc(heap, sizes[i], true, GFP_KERNEL, 0));
		ASSERT_EQ(NULL, heap_alloc_aligned(heap, sizes[i], 64, GFP_KERNEL, 0));
		ASSERT_EQ(NULL, heap_realloc(heap, obj, sizes[i], GFP_KERNEL, 0));
		ASSERT_TRUE(pattern_holds(obj, 100, 100, 1));
	}
	for (i = 40; i < 64; i++)
		ASSERT_EQ(NULL, heap_alloc_aligned(heap, 8, (size_t)1 << i, GFP_KERNEL, 0));
	put(heap, obj);
}

/* Across the borders of classes, of small and large, of large and huge. */
TEST_F(alloc, realloc_keeps_contents_across_all_borders)
{
	static const size_t sizes[] = {
		1, 15, 16, 17, 1024, 1025, 32768, 32769, 65536, 300000, 4 * MIB - 1, 4 * MIB,
		4 * MIB + 1, 9 * MIB,
	};
	u32 i, k;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		for (k = 0; k < ARRAY_SIZE(sizes); k++) {
			size_t from = sizes[i], to = sizes[k];
			void *obj = get(heap, from), *new;

			pattern_write(obj, from, i);
			new = heap_realloc(heap, obj, to, GFP_KERNEL, 0);
			ASSERT_NE(NULL, new);
			ASSERT_LE(to, heap_size(heap, new));
			ASSERT_TRUE(pattern_holds(new, min(from, to), from, i));
			put(heap, new);
		}
	ASSERT_EQ(0, heap_verify(heap));
}

TEST_F(alloc, realloc_stays_noscan)
{
	void *obj = get_noscan(heap, 100);

	obj = heap_realloc(heap, obj, 1000, GFP_KERNEL, 0);
	ASSERT_TRUE(pagemap_span(heap, (uintptr_t)obj)->noscan);
	obj = heap_realloc(heap, obj, 100000, GFP_KERNEL, 0);
	ASSERT_TRUE(pagemap_span(heap, (uintptr_t)obj)->noscan);
	obj = heap_realloc(heap, obj, 10, GFP_KERNEL, 0);
	ASSERT_TRUE(pagemap_span(heap, (uintptr_t)obj)->noscan);
	put(heap, obj);
}

/* Nobody but the user writes to memory: what is freed keeps what was in it. */
TEST_F(alloc, free_objects_are_never_touched)
{
	static const size_t sizes[] = { 8, 16, 48, 100, 1000, 4000 };
	static void *objs[ARRAY_SIZE(sizes)][300], *keep[ARRAY_SIZE(sizes)][150];
	u32 i, k;

	for (k = 0; k < ARRAY_SIZE(sizes); k++)
		for (i = 0; i < 300; i++) {
			objs[k][i] = get(heap, sizes[k]);
			/* a neighbour keeps the span where it is */
			if (i % 2)
				keep[k][i / 2] = get(heap, sizes[k]);
			pattern_write(objs[k][i], sizes[k], i);
		}
	for (k = 0; k < ARRAY_SIZE(sizes); k++)
		for (i = 0; i < 300; i++)
			put(heap, objs[k][i]);
	cache_drain(heap, &heap->slots);
	ASSERT_EQ(0, heap_verify(heap));
	for (k = 0; k < ARRAY_SIZE(sizes); k++)
		for (i = 0; i < 300; i++)
			if (pagemap_span(heap, (uintptr_t)objs[k][i]))
				ASSERT_TRUE(pattern_holds(objs[k][i], sizes[k], sizes[k], i));
	for (k = 0; k < ARRAY_SIZE(sizes); k++)
		for (i = 0; i < 150; i++)
			put(heap, keep[k][i]);
}

TEST_F(alloc, zalloc_is_zero_after_dirt_and_release)
{
	static const size_t sizes[] = { 8, 500, 32768, 50000, 3 * MIB, 6 * MIB };
	u32 i, round;

	for (round = 0; round < 4; round++) {
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			u8 *obj = heap_zalloc(heap, sizes[i], round & 1, GFP_KERNEL, 0);

			ASSERT_NE(NULL, obj);
			ASSERT_TRUE(all_zero(obj, sizes[i]));
			memset(obj, 0xee, heap_size(heap, obj));
			put(heap, obj);
		}
		if (round & 1)
			heap_release_memory(heap);
		/* the system may also refuse to take it */
		test.ts.release_fails = round == 2;
	}
	test.ts.release_fails = false;
}

TEST_F_TIMEOUT(alloc, stress, 200)
{
	u64 seed;

	for (seed = 1; seed <= 2; seed++) {
		stress(&own_api, seed, test_rounds(12000));
		ASSERT_EQ(0, heap_verify(heap));
		check_nothing_live(heap);
	}
}

/* The same while many page requests fail. */
TEST_F_TIMEOUT(alloc, stress_with_failures, 200)
{
	user_init(&users[0], &own_api, 1);
	test.ts.fail_percent = 30;
	stress(&own_api, 5, test_rounds(12000));
	ASSERT_GT(test.ts.nfailed, 0);
	test.ts.fail_percent = 0;
	check_nothing_live(heap);
}

TEST_F_TIMEOUT(alloc, stress_within_a_limit, 200)
{
	heap->config.limit_soft = 2 * MIB;
	heap->config.limit_hard = 4 * MIB;
	stress(&own_api, 6, test_rounds(12000));
	ASSERT_GT(heap->nfail, 0);
	heap->config.limit_hard = heap->config.limit_soft = 0;
}

TEST_F_TIMEOUT(alloc, stress_with_epochs, 200)
{
	epochs = true;
	stress(&own_api, 7, test_rounds(12000));
	ASSERT_GT(heap->nscavenged_bytes, 0);
}

/* Threads: objects change hands, and others verify and release meanwhile. */

#define NSHARED	64

static struct object shared[NSHARED];
static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;
static bool stop;

/* Give an object away and take another, which is freed here sooner or later. */
static void user_trade(struct user *user)
{
	u32 i = user_random(user, NSHARED);
	struct object mine = user_drop(user), theirs;

	pthread_mutex_lock(&shared_lock);
	theirs = shared[i];
	shared[i] = mine;
	pthread_mutex_unlock(&shared_lock);
	if (theirs.ptr) {
		object_check(&theirs);
		user->obj[user->n++] = theirs;
	}
}

static void *user_thread(void *arg)
{
	struct user *user = arg;
	u32 i;

	for (i = 0; i < test_rounds(12000); i++) {
		user_step(user);
		if (user->n && i % 3 == 0)
			user_trade(user);
	}
	user_free_all(user);
	return NULL;
}

static void *verifier(void *arg)
{
	const struct api *api = arg;

	while (!port_load(&stop)) {
		must(api->verify() == 0);
		usleep(2000);
	}
	return NULL;
}

static void *releaser(void *arg)
{
	static struct kspan_stats stats;
	const struct api *api = arg;

	while (!port_load(&stop)) {
		api->release();
		epochs = !epochs;
		heap_get_stats(api == &own_api ? heap : &kspan_heap0, &stats);
		usleep(3000);
	}
	return NULL;
}

static void stress_threads(const struct api *api)
{
	pthread_t thread[ARRAY_SIZE(users)], others[2];
	u32 i;

	port_store(&stop, false);
	for (i = 0; i < ARRAY_SIZE(users); i++)
		user_init(&users[i], api, i + 1);
	must(!pthread_create(&others[0], NULL, verifier, (void *)api));
	must(!pthread_create(&others[1], NULL, releaser, (void *)api));
	for (i = 0; i < ARRAY_SIZE(users); i++)
		must(!pthread_create(&thread[i], NULL, user_thread, &users[i]));
	for (i = 0; i < ARRAY_SIZE(users); i++)
		pthread_join(thread[i], NULL);
	port_store(&stop, true);
	pthread_join(others[0], NULL);
	pthread_join(others[1], NULL);
	for (i = 0; i < NSHARED; i++) {
		if (shared[i].ptr)
			user_free(&users[0], shared[i]);
		shared[i].ptr = NULL;
	}
	user_end(&users[0]);
	must(api->verify() == 0);
}

TEST_F_TIMEOUT(alloc, threads, 200)
{
	stress_threads(&own_api);
}

TEST_F_TIMEOUT(alloc, threads_with_failures, 200)
{
	test.ts.fail_percent = 20;
	stress_threads(&own_api);
	test.ts.fail_percent = 0;
}

/* The public entry points, over the default heap. */

FIXTURE(public) { };
FIXTURE_SETUP(public) { }
FIXTURE_TEARDOWN(public)
{
	check_nothing_live(&kspan_heap0);
	must(kspan_verify() == 0);
}

TEST_F_TIMEOUT(public, stress, 200)
{
	u64 seed;

	for (seed = 1; seed <= 2; seed++)
		stress(&public_api, seed, test_rounds(12000));
}

TEST_F_TIMEOUT(public, threads, 200)
{
	stress_threads(&public_api);
}

/* Every page request refused in turn */

#define NSCRIPT		64

static struct object script[NSCRIPT];
static u32 nscript;

static void script_add(void *ptr, size_t size)
{
	if (ZERO_OR_NULL_PTR(ptr))
		return;
	must(nscript < NSCRIPT);
	script[nscript] = (struct object){ .ptr = ptr, .size = size, .id = nscript };
	pattern_write(ptr, size, nscript);
	nscript++;
}

static void script_free_all(void)
{
	while (nscript) {
		object_check(&script[--nscript]);
		put(heap, script[nscript].ptr);
	}
}

static void script_alloc(void)
{
	static const size_t sizes[] = {
		1, 8, 24, 100, 1000, 5000, 10000, 32768, 32769, 200000, MIB, 5 * MIB,
	};
	u32 i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		u8 *zero = heap_zalloc(heap, sizes[i], true, GFP_KERNEL, 0);

		must(!zero || all_zero(zero, sizes[i]));
		script_add(get(heap, sizes[i]), sizes[i]);
		script_add(zero, sizes[i]);
	}
	for (i = 1; i < 16; i++)
		script_add(tiny_alloc(heap, i, GFP_KERNEL, 0), i);
	script_add(heap_alloc_aligned(heap, 100, 64, GFP_KERNEL, 0), 100);
	script_add(heap_alloc_aligned(heap, 100, 65536, GFP_KERNEL, 0), 100);
	script_add(heap_alloc_aligned(heap, 100000, 8 * MIB, GFP_KERNEL, 0), 100000);
}

static void script_realloc(void)
{
	static const size_t sizes[] = {
		10, 100, 10000, 50000, 60000, 3 * MIB, 6 * MIB, 5 * MIB, 1 * MIB, 40, 12
	};
	u8 *obj = NULL, *new;
	size_t size = 0;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		new = heap_realloc(heap, obj, sizes[i], GFP_KERNEL, 0);
		must(new || sizes[i] > size);
		if (obj)
			must(pattern_holds(new ? new : obj, min(size, sizes[i]), size, i - 1));
		obj = new ? new : obj;
		size = new ? sizes[i] : size;
		if (obj)
			pattern_write(obj, size, i);
	}
	put(heap, obj);
}

static void script_bulk(void)
{
	void *objs[700];
	u32 i, n;

	n = own_bulk(100, ARRAY_SIZE(objs), objs);
	must(n == 0 || n == ARRAY_SIZE(objs));
	for (i = 0; i < n; i++)
		pattern_write(objs[i], 100, i);
	for (i = 0; i < n; i++) {
		must(pattern_holds(objs[i], 100, 100, i));
		put(heap, objs[i]);
	}
}

static void construct(void *obj)
{
	pattern_write(obj, 333, 333);
}

static void script_cache(u32 flags)
{
	struct kspan_cache *cache = cache_create(heap, "script", 333, 0, flags, construct);
	void *objs[100];
	u32 i, n;

	if (!cache)
		return;
	for (n = 0; n < 40; n++) {
		objs[n] = kspan_cache_alloc(cache, GFP_KERNEL);
		if (!objs[n])
			break;
	}
	i = kspan_cache_alloc_bulk(cache, GFP_KERNEL, 60, objs + n);
	must(i == 0 || i == 60);
	n += i;
	for (i = 0; i < n; i++)
		must(pattern_holds(objs[i], 333, 333, 333));
	kspan_cache_free_bulk(cache, n, objs);
	must(cache_destroy(cache) == 0);
}

static void script_rcu(void)
{
	u32 i;

	for (i = 0; i < 100; i++)
		heap_free_rcu(heap, get(heap, 1 + i * 40));
	kspan_rcu_barrier();
}

static void run_script(void)
{
	void (*const steps[])(void) = { script_alloc, script_realloc, script_bulk, script_rcu };
	u32 i;

	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		steps[i]();
		must(heap_verify(heap) == 0);
	}
	script_cache(0);
	script_cache(KSPAN_TYPESAFE_BY_RCU);
	must(heap_verify(heap) == 0);
	script_free_all();
	kspan_rcu_barrier();
}

/* One life of a heap; the source remembers what is out. */
static void run_life(void)
{
	int ret = heap_init(heap, &test.config);

	must(ret == 0 || ret == -ENOMEM);
	if (!ret) {
		run_script();
		test.ts.fail_all = false;
		check_nothing_live(heap);
		must(heap_verify(heap) == 0);
		must(heap_destroy(heap) == 0);
	}
	must(test.ts.out == 0);
}

FIXTURE(refusal) { };

FIXTURE_VARIANT(refusal) {
	bool kernel;
	bool checked;
};

FIXTURE_VARIANT_ADD(refusal, kernel) {
	.kernel = true,
};

FIXTURE_VARIANT_ADD(refusal, user) {
	.kernel = false,
};

FIXTURE_VARIANT_ADD(refusal, kernel_checked) {
	.kernel = true,
	.checked = true,
};

FIXTURE_SETUP(refusal)
{
	/* little, so that the lives find it faulted in */
	testheap_prepare(&test, variant->kernel, TEST_SPACE / 8);
	test.config.debug.flags = variant->checked ? KSPAN_DEBUG_CHECK : 0;
	test.config.stack_objs = 16;
}

FIXTURE_TEARDOWN(refusal)
{
	must(!memchr(test.ts.owner, 1, test.ts.npages));
}

TEST_F_TIMEOUT(refusal, each_request_in_turn, 300)
{
	u32 n;

	for (n = 1;; n += TEST_SLOWER) {
		testsource_fail_nth(&test.ts, n);
		run_life();
		if (test.ts.nget < test.ts.fail_at)
			break;
	}
	ASSERT_GT(n, 15);
}

TEST_F_TIMEOUT(refusal, all_from_each_request_on, 300)
{
	u64 failed;
	u32 n;

	/* all that come after the n-th: those before it must not fail */
	for (n = 1;; n += TEST_SLOWER) {
		failed = test.ts.nfailed;
		test.ts.fail_from = test.ts.nget + n;
		run_life();
		test.ts.fail_from = 0;
		if (test.ts.nfailed == failed)
			break;
	}
	ASSERT_GT(n, 15);
}

TEST_F_TIMEOUT(refusal, at_random, 300)
{
	const u32 rounds = test_rounds(20);
	u32 i;

	/* up to 45 in any case: some lives ask seldom */
	for (i = 1; i <= rounds; i++) {
		test.ts.fail_percent = 5 + 40 * i / rounds;
		run_life();
	}
	ASSERT_GT(test.ts.nfailed, 0);
}

TEST_HARNESS_MAIN
