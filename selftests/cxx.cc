// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Every form of operator new and delete, over libkspan-malloc: test_cxx.sh builds
 * and runs this in several ways. Prints what is wrong; nothing is right.
 */
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <malloc.h>
#include <new>

static int wrong;

#define CHECK(x) \
	do { \
		if (!(x)) { \
			std::printf("# line %d: %s\n", __LINE__, #x); \
			wrong = 1; \
		} \
	} while (0)

struct alignas(256) Wide {
	char body[300];
};

struct Plain {
	char body[33];
	Plain() { std::memset(body, 1, sizeof(body)); }
	~Plain() { CHECK(body[32] == 1); }
};

template <typename T> static T *hide(T *p)
{
	__asm__ volatile("" : "+r"(p) : : "memory");
	return p;
}

static std::size_t too_much()
{
	std::size_t n = PTRDIFF_MAX - 1000;

	__asm__ volatile("" : "+r"(n));
	return n;
}

static void forms()
{
	delete hide(new Plain);
	delete[] hide(new Plain[10]);
	delete hide(new (std::nothrow) Plain);
	delete[] hide(new (std::nothrow) Plain[10]);
	Wide *wide = hide(new Wide);
	CHECK((std::uintptr_t)wide % 256 == 0);
	delete wide;
	wide = hide(new Wide[3]);
	CHECK((std::uintptr_t)wide % 256 == 0);
	delete[] wide;
	wide = hide(new (std::nothrow) Wide);
	CHECK((std::uintptr_t)wide % 256 == 0);
	delete wide;
	delete[] hide(new (std::nothrow) Wide[3]);
}

static void functions()
{
	const std::align_val_t align{128};
	void *p = hide(::operator new(40));

	CHECK(malloc_usable_size(p) == 48);
	::operator delete(p, 40);
	::operator delete(::operator new(40), std::nothrow);
	::operator delete[](::operator new[](40), std::nothrow);
	::operator delete[](::operator new[](40), 40);
	p = hide(::operator new(40, align));
	CHECK((std::uintptr_t)p % 128 == 0);
	::operator delete(p, 40, align);
	::operator delete(::operator new(40, align), align, std::nothrow);
	::operator delete[](::operator new[](40, align), align, std::nothrow);
	::operator delete[](::operator new[](40, align, std::nothrow), 40, align);
	::operator delete(nullptr);
	for (std::size_t n = 0; n <= 16; n++) {
		void *all[] = { hide(::operator new(n)), hide(::operator new[](n)),
				hide(::operator new(n, std::nothrow)),
				hide(::operator new(n, std::align_val_t{1})),
				hide(::operator new[](n, std::align_val_t{2}, std::nothrow)) };

		for (void *q : all)
			CHECK(q && (std::uintptr_t)q % 16 == 0);
		::operator delete(all[0], n);
		::operator delete[](all[1]);
		::operator delete(all[2], std::nothrow);
		::operator delete(all[3], n, std::align_val_t{1});
		::operator delete[](all[4], std::align_val_t{2});
	}
}

static int handled;

static void handler()
{
	if (++handled == 3)
		std::set_new_handler(nullptr);
}

template <typename F> static bool throws(F f)
{
	try {
		hide(f());
	} catch (const std::bad_alloc &) {
		return true;
	}
	return false;
}

static void failures()
{
	const std::align_val_t align{64};

	CHECK(!::operator new(too_much(), std::nothrow));
	CHECK(!::operator new[](too_much(), align, std::nothrow));
	CHECK(throws([] { return ::operator new(too_much()); }));
	CHECK(throws([] { return ::operator new[](too_much()); }));
	CHECK(throws([align] { return ::operator new(too_much(), align); }));
	std::set_new_handler(handler);
	CHECK(throws([] { return ::operator new(too_much()); }));
	CHECK(handled == 3);
}

static void throwing_handler()
{
	handled++;
	throw std::bad_alloc();
}

/* What the handler throws is no memory to the forms that do not throw. */
static void failures_of_the_handler()
{
	const std::align_val_t align{64};

	handled = 0;
	std::set_new_handler(throwing_handler);
	CHECK(throws([] { return ::operator new(too_much()); }));
	CHECK(!hide(::operator new(too_much(), std::nothrow)));
	CHECK(!hide(::operator new[](too_much(), std::nothrow)));
	CHECK(!hide(::operator new(too_much(), align, std::nothrow)));
	CHECK(!hide(::operator new[](too_much(), align, std::nothrow)));
	CHECK(handled == 5);
	std::set_new_handler(nullptr);
}

int main()
{
	forms();
	functions();
	failures();
	failures_of_the_handler();
	return wrong;
}
