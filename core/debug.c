// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The checked heap: what can be asked of a heap to find errors of its users.
 *
 * One mechanism serves all of it. While a heap is checked its slots are off, so
 * that every allocation and free takes the slow path, and there one hook sees
 * each object go out (debug_alloc()) and one sees it come back (debug_free()).
 * What they know of an object is a record, out of band, in a table per span
 * that is made when the first object of the span is seen. Nothing of this is on
 * the hit path; the slow paths ask heap_checked(), in the kernel a static branch.
 *
 *	record state	what it says of the object
 *	NONE		nothing: it was handed out before the heap was checked
 *	LIVE		with a caller since the heap is checked
 *	HELD		taken back since, and not free in its span yet: in quarantine,
 *			or in the hands of whoever frees it
 *	FREED		taken back since; free in its span, or about to be
 *
 * The facilities, each a flag (enum kspan_debug_flag):
 *
 *	red zone	the bytes from what was asked for to the end of the object
 *			are written at alloc and compared at free
 *	poison		a freed object is filled; that is compared when it leaves
 *			quarantine, when it is handed out again and when its span ends
 *	quarantine	freed small objects are held back, up to a number of bytes
 *	stacks		of the last alloc and free of each object, from the port
 *	init, junk	what objects are filled with
 *	guard		every n-th object is the port's, with an end that traps
 *	fail		every n-th request ends in NULL
 *
 * A heap may become checked, and cease to be, while it is in use. Whoever was in
 * the middle of an operation then may have missed the hooks, or run them late. So
 * a record counts only with the generation in which the heap is now, which
 * changes at both ends; and the slots go off before the first hook runs, and on
 * after the last flag is gone, so that within a generation no object passes by
 * one hook and not by the other. (An operation that began earlier and is late can
 * only free what was allocated earlier, hence without a record of this
 * generation.) See alloc.c.
 */
#include <kspan/heap.h>

#define REDZONE_BYTE	0xbb	/* as SLUB's */
#define POISON_BYTE	0x6b	/* as SLUB's */
#define JUNK_ALLOC	0xa5	/* as jemalloc's, as the next */
#define JUNK_FREE	0x5a

#define QUARANTINE_OBJS	4096	/* that it can hold, of whatever size */
#define QUARANTINE_OUT	16	/* that leave it at once, at most */

enum record_state {
	RECORD_NONE,
	RECORD_LIVE,
	RECORD_HELD,
	RECORD_FREED,
};

enum record_mark {
	MARK_REDZONE = 1,	/* its red zone was written */
	MARK_POISON = 2,	/* all of it was poisoned */
};

/**
 * struct kspan_record - what a checked heap knows of an object
 * @gen: generation of the heap that it is of; 0 none
 * @state: enum record_state; to HELD under the central's lock, else written by
 *	whoever has the object
 * @marks: enum record_mark; whoever has the object
 * @size: bytes asked for; of a large object see its span
 * @alloc_stack: the port's, 0 none; as @free_stack
 * @free_stack: .
 * @alloc_site: call site; as @free_site
 * @free_site: .
 */
struct kspan_record {
	u16 gen;
	u8 state;
	u8 marks;
	u32 size;
	u32 alloc_stack;
	u32 free_stack;
	uintptr_t alloc_site;
	uintptr_t free_site;
};

/* Bytes of a table of records for @nobjs objects. */
size_t debug_records_size(u32 nobjs)
{
	return nobjs * sizeof(struct kspan_record);
}

static struct kspan_fix *records_fix(struct kspan_heap *heap, const struct kspan_span *span)
{
	return &heap->fix[span->nobjs == 1 ? FIX_RECORD :
			  span->nobjs <= 128 ? FIX_RECORDS_SMALL : FIX_RECORDS_BIG];
}

/*
 * Whether the span, whose objects change hands under the lock of @central (the heap's if
 * there is none), has objects out: it may have gone when one of them was freed twice.
 */
static bool span_is_out(const struct kspan_span *span, const struct kspan_central *central)
{
	return span->central == central &&
	       (central ? span->nfree != span->nobjs : span->state == SPAN_LARGE);
}

/* Give a span its table; without memory its objects are not known. */
static void span_add_records(struct kspan_heap *heap, struct kspan_span *span, gfp_t gfp)
{
	struct kspan_central *central = port_load_acquire(&span->central);
	port_lock_t *lock = central ? &central->lock : &heap->lock;
	struct kspan_fix *fix = records_fix(heap, span);
	struct kspan_record *records = fix_alloc(fix, (gfp & ~__GFP_ZERO) | __GFP_NOWARN);
	unsigned long flags;

	if (!records)
		return;
	flags = port_lock(lock);
	if (!span->records && span_is_out(span, central) && records_fix(heap, span) == fix) {
		/* pairs with the load in record_of() */
		port_store_release(&span->records, records);
		records = NULL;
	}
	port_unlock(lock, flags);
	fix_free(fix, records);
}

/* The record of the object of @span that @ptr points into, or NULL. */
static struct kspan_record *record_of(const struct kspan_span *span, const void *ptr)
{
	/* pairs with the release in span_add_records() */
	struct kspan_record *records = port_load_acquire(&span->records);
	bool exact;
	u32 idx;

	if (!records || span->pclass == KSPAN_PC_LARGE)
		return records;
	idx = span_index(span, (uintptr_t)ptr, &exact);
	return idx < span->nobjs ? &records[idx] : NULL;
}

/*
 * The generation of what is noted now; 0 if the heap has ceased to be checked since the
 * caller looked. Loaded before it is seen that the heap is checked, so it is never that of
 * a time to come, before which the object may go out again and nobody notes it.
 */
static u16 debug_gen(const struct kspan_heap *heap)
{
	/* pairs with the release in debug_next_gen() */
	u16 gen = port_load_acquire(&heap->debug.gen);

	return heap_checked(heap) ? gen : 0;
}

static bool record_is(const struct kspan_heap *heap, const struct kspan_record *record,
		      enum record_state state)
{
	return record && port_load(&record->gen) == port_load(&heap->debug.gen) &&
	       port_load(&record->state) == state;
}

static size_t span_object_bytes(const struct kspan_span *span)
{
	return span->pclass == KSPAN_PC_LARGE ? pages_to_bytes(span->npages) : span->size;
}

static size_t record_size(const struct kspan_span *span, const struct kspan_record *record)
{
	return span->pclass == KSPAN_PC_LARGE ? span->bytes : record->size;
}

/* Objects whose contents stay from one life to the next must not be filled. */
static bool span_may_fill(const struct kspan_span *span)
{
	return !span->central || !span->central->cache ||
	       !objcache_keeps_contents(span->central->cache);
}

/* Reports */

/**
 * debug_report_stacks - the stacks that are known of an object in a report
 * @heap: its heap
 * @ptr: points into it, or not
 */
void debug_report_stacks(struct kspan_heap *heap, const void *ptr)
{
	struct kspan_span *span = pagemap_find(heap, (uintptr_t)ptr);
	struct kspan_record *record = span ? record_of(span, ptr) : NULL;

	if (!record || port_load(&record->gen) != port_load(&heap->debug.gen))
		return;
	if (record->alloc_stack)
		port_stack_report("allocated at", record->alloc_stack);
	if (record->state >= RECORD_HELD && record->free_stack)
		port_stack_report("freed at", record->free_stack);
}

/*
 * The record, if it is of now; else NULL. Who reports a wrong free looks once: the span may
 * be another's by now, and get its records between two looks.
 */
static struct kspan_record *record_now(struct kspan_heap *heap, struct kspan_span *span,
				       const void *ptr)
{
	struct kspan_record *record = record_of(span, ptr);

	if (!record || !heap_checked(heap) || port_load(&record->gen) != port_load(&heap->debug.gen))
		return NULL;
	return record;
}

/* The call site of the object's allocation, or 0. */
uintptr_t debug_site(struct kspan_heap *heap, struct kspan_span *span, const void *ptr)
{
	struct kspan_record *record = record_now(heap, span, ptr);

	return record ? record->alloc_site : 0;
}

/* The call site of the object's last free, when it was not allocated since; or 0. */
uintptr_t debug_free_site(struct kspan_heap *heap, struct kspan_span *span, const void *ptr)
{
	struct kspan_record *record = record_now(heap, span, ptr);

	if (!record || !record->alloc_site || record->state < RECORD_HELD)
		return 0;
	return record->free_site;
}

/* Its stack, for a list of leaks; 0 none. */
u32 debug_stack(struct kspan_heap *heap, struct kspan_span *span, const void *ptr)
{
	struct kspan_record *record = record_now(heap, span, ptr);

	return record && record->alloc_site ? record->alloc_stack : 0;
}

/* Its allocation's call site is @site from now on; the object is out. */
void debug_rename(struct kspan_span *span, const void *ptr, uintptr_t site)
{
	struct kspan_record *record = record_of(span, ptr);

	record->alloc_site = site;
	record->alloc_stack = 0;
}

/* Whether the object, which is not free in its span, is in quarantine or leaves it. */
bool debug_is_held(struct kspan_heap *heap, struct kspan_span *span, const void *ptr)
{
	struct kspan_record *record = record_of(span, ptr);

	return record_is(heap, record, RECORD_HELD) || record_is(heap, record, RECORD_FREED);
}

static PORT_UNCHECKED size_t first_other(const u8 *p, size_t n, u8 byte)
{
	size_t i;

	for (i = 0; i < n && p[i] == byte; i++)
		;
	return i;
}

static PORT_UNCHECKED size_t count_others(const u8 *p, size_t n, u8 byte)
{
	size_t i, others = 0;

	for (i = 0; i < n; i++)
		others += p[i] != byte;
	return others;
}

/* Not a plain load, which a compiler may move to the caller. */
static PORT_UNCHECKED u8 byte_at(const u8 *p)
{
	return port_load(p);
}

/*
 * Bytes [@from, @to) of the object must be @byte; report the first that is not
 * and how many are not.
 */
static void debug_compare(struct kspan_heap *heap, struct kspan_span *span, void *obj,
			  size_t from, size_t to, u8 byte, uintptr_t caller)
{
	static const char *const what[] = { "write past the end", "write after free" };
	bool after_free = byte == POISON_BYTE;
	u8 *p = obj;
	size_t i = from + first_other(p + from, to - from, byte);
	struct kspan_record *record = record_of(span, obj);

	if (likely(i == to))
		return;
	port_add(&heap->nmisuse[after_free ? KSPAN_WRITE_AFTER_FREE : KSPAN_OVERFLOW], 1);
	port_report("%s: %p, %zu bytes asked for, byte %zu is 0x%02x and not 0x%02x, %zu such bytes, found by "
		    PORT_SITE ", allocated by " PORT_SITE, what[after_free], obj,
		    record_size(span, record), i, byte_at(p + i), byte,
		    count_others(p + i, to - i, byte), (void *)caller,
		    (void *)record->alloc_site);
	debug_report_stacks(heap, obj);
	port_error(heap);
}

static void debug_check_poison(struct kspan_heap *heap, struct kspan_span *span, void *obj,
			       uintptr_t caller)
{
	struct kspan_record *record = record_of(span, obj);

	if (!record || port_load(&record->gen) != port_load(&heap->debug.gen) ||
	    record->state < RECORD_HELD || !(record->marks & MARK_POISON))
		return;
	debug_compare(heap, span, obj, 0, span_object_bytes(span), POISON_BYTE, caller);
	record->marks &= ~MARK_POISON;
}

/* Quarantine: a ring of pointers, the oldest leaves first. */

static void *quarantine_pop(struct kspan_heap *heap)
{
	struct kspan_quarantine *q = &heap->debug.quarantine;
	void *obj;

	port_assert_held(&q->lock);
	if (!q->n)
		return NULL;
	obj = q->ring[q->head];
	q->head = (q->head + 1) % QUARANTINE_OBJS;
	q->n--;
	q->nbytes -= span_object_bytes(pagemap_span(heap, (uintptr_t)obj));
	return obj;
}

/* The object is about to be free in its span: the bitmap tells from now on. */
static void debug_let_go(struct kspan_span *span, void *obj)
{
	struct kspan_record *record = record_of(span, obj);

	if (record)
		port_store(&record->state, RECORD_FREED);
}

/* An object's time is over. */
static void quarantine_release(struct kspan_heap *heap, void *obj)
{
	struct kspan_span *span = pagemap_span(heap, (uintptr_t)obj);

	debug_check_poison(heap, span, obj, 0);
	if (record_of(span, obj) && port_load(&heap->debug.flags) & KSPAN_DEBUG_POISON &&
	    span_may_fill(span)) {
		port_obj_fill(obj, POISON_BYTE, span->size);
		record_of(span, obj)->marks |= MARK_POISON;
	}
	debug_let_go(span, obj);
	central_put(heap, &obj, 1, 0);
}

/* The oldest that are too much leave; false: there was none. */
static bool quarantine_trim(struct kspan_heap *heap)
{
	struct kspan_quarantine *q = &heap->debug.quarantine;
	void *out[QUARANTINE_OUT];
	u32 i, n = 0, which = heap_begin_frees(heap);
	unsigned long flags = port_lock(&q->lock);

	while ((q->nbytes > q->limit || q->n == QUARANTINE_OBJS) && n < QUARANTINE_OUT)
		out[n++] = quarantine_pop(heap);
	port_unlock(&q->lock, flags);
	for (i = 0; i < n; i++)
		quarantine_release(heap, out[i]);
	heap_end_frees(heap, which);
	return n;
}

/* Hold @obj, of @nbytes, back; false: it is not to be, or there is no room. */
static bool quarantine_add(struct kspan_heap *heap, void *obj, size_t nbytes)
{
	struct kspan_quarantine *q = &heap->debug.quarantine;
	unsigned long flags;
	bool add;

	if (!(port_load(&heap->debug.flags) & KSPAN_DEBUG_QUARANTINE))
		return false;
	flags = port_lock(&q->lock);
	/* the flag again: who switches it off empties the ring afterwards */
	add = port_load(&heap->debug.flags) & KSPAN_DEBUG_QUARANTINE &&
	      nbytes <= q->limit && q->n < QUARANTINE_OBJS;
	if (add) {
		q->ring[(q->head + q->n++) % QUARANTINE_OBJS] = obj;
		q->nbytes += nbytes;
	}
	port_unlock(&q->lock, flags);
	while (quarantine_trim(heap))
		;
	return add;
}

/**
 * debug_flush - end the quarantine of all that is in it
 * @heap: which
 *
 * What somebody else is taking out of it is for heap_wait_frees().
 *
 * Context: no lock held.
 */
void debug_flush(struct kspan_heap *heap)
{
	struct kspan_quarantine *q = &heap->debug.quarantine;
	u32 which = heap_begin_frees(heap);
	unsigned long flags;
	void *obj;

	do {
		flags = port_lock(&q->lock);
		obj = quarantine_pop(heap);
		port_unlock(&q->lock, flags);
		if (obj)
			quarantine_release(heap, obj);
	} while (obj);
	heap_end_frees(heap, which);
}

/* An object goes out */

static bool debug_nth(u64 *count, u32 every)
{
	port_add(count, 1);
	return port_load(count) % every == 0;
}

/**
 * debug_refuses - whether a request shall fail, to see what its maker does then
 * @heap: of this heap, which is checked
 * @size: bytes asked for
 * @gfp: those with __GFP_NOFAIL never do
 */
bool debug_refuses(struct kspan_heap *heap, size_t size, gfp_t gfp)
{
	struct kspan_debug *debug = &heap->debug;
	u32 every = port_load(&debug->fail_every);

	if (!(port_load(&debug->flags) & KSPAN_DEBUG_FAIL) || gfp & __GFP_NOFAIL)
		return false;
	return (every && debug_nth(&debug->nasked, every)) || port_should_fail(size, gfp);
}

/* The n-th object is the port's, if it has room for it; else NULL. */
void *debug_guarded(struct kspan_heap *heap, size_t size, gfp_t gfp, uintptr_t caller)
{
	struct kspan_debug *debug = &heap->debug;
	u32 every = port_load(&debug->guard_every);

	if (!(port_load(&debug->flags) & KSPAN_DEBUG_GUARD) || !every ||
	    !debug_nth(&debug->nguarded, every))
		return NULL;
	return port_guard_alloc(size, gfp, caller);
}

static void debug_fill(struct kspan_heap *heap, struct kspan_span *span, void *obj, gfp_t gfp)
{
	u32 flags = port_load(&heap->debug.flags);

	if (gfp & __GFP_ZERO || !span_may_fill(span))
		return;
	if (flags & KSPAN_DEBUG_INIT_ALLOC)
		port_obj_fill(obj, 0, span_object_bytes(span));
	else if (flags & KSPAN_DEBUG_JUNK)
		port_obj_fill(obj, JUNK_ALLOC, span_object_bytes(span));
}

/**
 * debug_set_size - what was asked for is less than what was allocated
 * @heap: a checked heap
 * @obj: an object that the caller has; NULL is nothing
 * @size: bytes asked for
 *
 * Writes the red zone anew.
 */
void debug_set_size(struct kspan_heap *heap, void *obj, size_t size)
{
	struct kspan_span *span = obj ? pagemap_span(heap, (uintptr_t)obj) : NULL;
	struct kspan_record *record = span ? record_of(span, obj) : NULL;
	size_t have;

	if (!record_is(heap, record, RECORD_LIVE))
		return;
	have = span_object_bytes(span);
	if (span->pclass == KSPAN_PC_LARGE)
		span->bytes = size;
	record->size = size;
	record->marks &= ~MARK_REDZONE;
	if (!(port_load(&heap->debug.flags) & KSPAN_DEBUG_REDZONE) || size >= have)
		return;
	port_obj_fill((char *)obj + size, REDZONE_BYTE, have - size);
	record->marks |= MARK_REDZONE;
}

/**
 * debug_alloc - an object of a checked heap goes out
 * @heap: which
 * @obj: the object; NULL is nothing
 * @size: bytes asked for
 * @gfp: may it sleep; with __GFP_ZERO the object is zeroed, or will be
 * @caller: for whom
 *
 * Context: no lock held.
 * Return: @obj.
 */
void *debug_alloc(struct kspan_heap *heap, void *obj, size_t size, gfp_t gfp, uintptr_t caller)
{
	struct kspan_span *span = obj ? pagemap_span(heap, (uintptr_t)obj) : NULL;
	struct kspan_record *record;

	if (!span)
		return obj;
	if (!port_load(&span->records))
		span_add_records(heap, span, gfp);
	debug_check_poison(heap, span, obj, caller);
	debug_fill(heap, span, obj, gfp);
	record = record_of(span, obj);
	if (!record)
		return obj;
	port_store(&record->gen, debug_gen(heap));
	record->marks = 0;
	record->alloc_site = caller;
	record->free_site = 0;
	record->free_stack = 0;
	record->alloc_stack = port_load(&heap->debug.flags) & KSPAN_DEBUG_STACKS ?
			      port_stack_save(gfp) : 0;
	port_store(&record->state, RECORD_LIVE);
	debug_set_size(heap, obj, size);
	return obj;
}

/*
 * The same where no lock may be taken: no more than who has it, and that only where
 * the span has records. Nothing of it is compared later.
 */
void debug_note(struct kspan_heap *heap, void *obj, size_t size, uintptr_t caller)
{
	struct kspan_record *record = record_of(pagemap_span(heap, (uintptr_t)obj), obj);

	if (!record)
		return;
	port_store(&record->gen, debug_gen(heap));
	record->marks = 0;
	record->size = size;
	record->alloc_stack = 0;
	record->free_stack = 0;
	record->free_site = 0;
	record->alloc_site = caller;
	port_store(&record->state, RECORD_LIVE);
}

/* Bytes that may be used of an object: with a red zone, those that were asked for. */
size_t debug_size(struct kspan_heap *heap, struct kspan_span *span, const void *ptr, size_t size)
{
	struct kspan_record *record = record_of(span, ptr);

	if (record_is(heap, record, RECORD_LIVE) && record->marks & MARK_REDZONE)
		return record_size(span, record);
	return size;
}

/* An object comes back */

/* The freer's stack, if stacks are kept. No lock is held. */
static u32 debug_free_stack(struct kspan_heap *heap)
{
	return port_load(&heap->debug.flags) & KSPAN_DEBUG_STACKS ?
	       port_stack_save(GFP_NOWAIT | __GFP_NOWARN) : 0;
}

/* The object is the freer's now. Was its red zone known, and is it whole? */
static void debug_take_back(struct kspan_heap *heap, struct kspan_span *span, void *obj,
			    bool known, uintptr_t caller, u32 stack)
{
	struct kspan_record *record = record_of(span, obj);

	if (known && record->marks & MARK_REDZONE)
		debug_compare(heap, span, obj, record_size(span, record),
			      span_object_bytes(span), REDZONE_BYTE, caller);
	if (!known) {
		record->alloc_site = 0;
		record->alloc_stack = 0;
		record->size = span->size;
	}
	record->marks = 0;
	record->free_site = caller;
	record->free_stack = stack;
}

/* What is written over a freed object. */
static void debug_fill_freed(struct kspan_heap *heap, struct kspan_span *span, void *obj)
{
	struct kspan_record *record = record_of(span, obj);
	u32 flags = port_load(&heap->debug.flags);
	size_t nbytes = span_object_bytes(span);

	if (!span_may_fill(span))
		return;
	/* a large object's memory is nobody's from now on, so it cannot be compared */
	if (flags & KSPAN_DEBUG_POISON && record) {
		port_obj_fill(obj, POISON_BYTE, nbytes);
		if (span->pclass != KSPAN_PC_LARGE)
			record->marks |= MARK_POISON;
	} else if (flags & KSPAN_DEBUG_INIT_FREE) {
		port_obj_fill(obj, 0, nbytes);
	} else if (flags & KSPAN_DEBUG_JUNK) {
		port_obj_fill(obj, JUNK_FREE, nbytes);
	}
}

/*
 * The free of an object that went out before the heap was checked, or without a record.
 * Somebody else who frees it may be at work, of whom no record tells: the span's bitmap
 * decides between the two. So it is not held back, and not touched without the lock.
 */
static void debug_free_unknown(struct kspan_heap *heap, struct kspan_span *span, void *obj,
			       uintptr_t caller, u32 stack)
{
	struct kspan_record *record = record_of(span, obj);

	port_assert_held(&span->central->lock);
	if (record) {
		port_store(&record->gen, debug_gen(heap));
		debug_take_back(heap, span, obj, false, caller, stack);
	}
	debug_fill_freed(heap, span, obj);
	debug_let_go(span, obj);
}

/*
 * Take the object from its user, of two that free it at once from one. Returns the
 * misuse, or -1, and in *@known whether its record is the freer's now; it may go into
 * its span if not.
 */
static int debug_claim(struct kspan_heap *heap, struct kspan_span *span, void *ptr,
		       uintptr_t caller, u32 stack, bool *known)
{
	struct kspan_central *central = port_load_acquire(&span->central);
	struct kspan_record *record;
	int misuse = -1;
	unsigned long flags;
	bool exact;
	u32 idx;

	if (!central)
		return KSPAN_DOUBLE_FREE;	/* the span is gone */
	flags = port_lock(&central->lock);
	if (pagemap_span(heap, (uintptr_t)ptr) != span || span->central != central) {
		port_unlock(&central->lock, flags);
		return KSPAN_DOUBLE_FREE;
	}
	idx = span_index(span, (uintptr_t)ptr, &exact);
	record = record_of(span, ptr);
	if (!exact || idx >= span->nobjs)
		misuse = KSPAN_INTERIOR_FREE;
	else if (span->free[idx / 64] >> (idx % 64) & 1 || debug_is_held(heap, span, ptr))
		misuse = KSPAN_DOUBLE_FREE;
	*known = misuse < 0 && record_is(heap, record, RECORD_LIVE);
	if (*known)
		port_store(&record->state, RECORD_HELD);
	else if (misuse < 0)
		debug_free_unknown(heap, span, ptr, caller, stack);
	port_unlock(&central->lock, flags);
	return misuse;
}

/**
 * debug_free - a small object of a checked heap comes back
 * @heap: which
 * @span: that @ptr points into
 * @ptr: what was freed
 * @caller: by whom
 *
 * Context: no lock held; any that may take a spinlock.
 * Return: true: the caller puts the object into its span; false: it is not to be,
 * being in quarantine or the free a wrong one.
 */
bool debug_free(struct kspan_heap *heap, struct kspan_span *span, void *ptr, uintptr_t caller)
{
	u32 stack = debug_free_stack(heap);
	bool known = false;
	int misuse;

	if (!port_load(&span->records))
		span_add_records(heap, span, GFP_NOWAIT);
	misuse = debug_claim(heap, span, ptr, caller, stack, &known);
	if (misuse >= 0) {
		heap_misuse(heap, misuse, ptr, caller);
		return false;
	}
	if (!known)
		return true;
	debug_take_back(heap, span, ptr, true, caller, stack);
	debug_fill_freed(heap, span, ptr);
	if (quarantine_add(heap, ptr, span->size))
		return false;
	debug_let_go(span, ptr);
	return true;
}

/**
 * debug_free_large - a large object of a checked heap comes back
 * @heap: which
 * @span: its span, which is the caller's and goes back to the heap at once: there
 *	is no quarantine for large objects
 * @caller: by whom
 *
 * Context: as debug_free().
 */
void debug_free_large(struct kspan_heap *heap, struct kspan_span *span, uintptr_t caller)
{
	void *obj = (void *)span->start;
	struct kspan_record *record = record_of(span, obj);

	if (record)
		debug_take_back(heap, span, obj, record_is(heap, record, RECORD_LIVE), caller,
				debug_free_stack(heap));
	debug_fill_freed(heap, span, obj);
}

/**
 * debug_span_end - a span goes back to the heap
 * @heap: its heap
 * @span: all its objects are free, and it is the caller's
 *
 * The last chance to see who wrote to them.
 */
void debug_span_end(struct kspan_heap *heap, struct kspan_span *span)
{
	u32 i;

	if (!span->records)
		return;
	if (heap_checked(heap) && span->pclass != KSPAN_PC_LARGE)
		for (i = 0; i < span->nobjs; i++)
			debug_check_poison(heap, span, span_object(span, i), 0);
	fix_free(records_fix(heap, span), span->records);
	span->records = NULL;
}

/* On and off */

/* From now on every operation of the slotset fails, or none does that need not. */
void debug_slots_off(struct kspan_heap *heap, struct kspan_slotset *ss, bool off)
{
	port_slots_freeze(ss);
	ss->off = off;
	port_slots_thaw(ss);
	if (off)
		cache_drain(heap, ss);
}

/* What was noted so far is of another time. */
static void debug_next_gen(struct kspan_heap *heap)
{
	/* pairs with the load in debug_gen() */
	port_store_release(&heap->debug.gen, heap->debug.gen + 1);
}

static void debug_start(struct kspan_heap *heap)
{
	port_set_checked(true);
	debug_slots_off(heap, &heap->slots, true);
	objcache_slots_off(heap, true);
	debug_next_gen(heap);
}

static void debug_stop(struct kspan_heap *heap)
{
	debug_flush(heap);
	debug_next_gen(heap);
	objcache_slots_off(heap, false);
	debug_slots_off(heap, &heap->slots, false);
	port_set_checked(false);
}

/* The ring stays until the heap's end. */
static bool quarantine_init(struct kspan_heap *heap)
{
	struct kspan_quarantine *q = &heap->debug.quarantine;
	unsigned long flags;
	void **ring;
	size_t got;

	if (port_load(&q->ring))
		return true;
	ring = heap_meta_get(heap, QUARANTINE_OBJS * sizeof(void *), GFP_KERNEL, &got);
	if (!ring)
		return false;
	flags = port_lock(&q->lock);
	/* of two who make one at a time the second's memory stays with the metadata */
	if (!q->ring)
		port_store(&q->ring, ring);
	port_unlock(&q->lock, flags);
	return true;
}

/**
 * heap_set_debug - switch a heap's debug facilities
 * @heap: which; it may be in use
 * @config: what shall be on from now on; no flag: the heap is not checked
 *
 * Context: process; sleeps.
 * Return: 0 or -ENOMEM, and nothing changed.
 */
int heap_set_debug(struct kspan_heap *heap, const struct kspan_debug_config *config)
{
	struct kspan_debug *debug = &heap->debug;
	bool was, on = config->flags;
	unsigned long flags;

	/* before the lock, which who reclaims memory may wait for */
	if (config->flags & KSPAN_DEBUG_QUARANTINE && !quarantine_init(heap))
		return -ENOMEM;
	port_mutex_lock(&heap->caches_lock);
	was = heap->checked;
	if (on && !was)
		debug_start(heap);
	port_store(&debug->guard_every, config->guard_every);
	port_store(&debug->fail_every, config->fail_every);
	flags = port_lock(&debug->quarantine.lock);
	debug->quarantine.limit = config->quarantine_bytes;
	port_store(&debug->flags, config->flags);
	port_unlock(&debug->quarantine.lock, flags);
	/* pairs with the load in heap_checked(): who sees it sees all of the above */
	port_store_release(&heap->checked, on);
	if (was && !on)
		debug_stop(heap);
	else if (was && !(config->flags & KSPAN_DEBUG_QUARANTINE))
		debug_flush(heap);
	port_mutex_unlock(&heap->caches_lock);
	return 0;
}
