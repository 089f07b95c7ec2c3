/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Whether ASan or TSan has a hand in memory, which both bring their own malloc() for. */
#ifndef SANITIZED_H
#define SANITIZED_H

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED_ADDRESS	1
#elif defined(__SANITIZE_THREAD__)
#define SANITIZED_THREAD	1
#elif defined(__has_feature)
#define SANITIZED_ADDRESS	__has_feature(address_sanitizer)
#define SANITIZED_THREAD	__has_feature(thread_sanitizer)
#endif
#ifndef SANITIZED_ADDRESS
#define SANITIZED_ADDRESS	0
#endif
#ifndef SANITIZED_THREAD
#define SANITIZED_THREAD	0
#endif
#define SANITIZED		(SANITIZED_ADDRESS || SANITIZED_THREAD)

#endif /* SANITIZED_H */
