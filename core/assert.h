/*
 * Assertions on our own invariants. They stay on in release builds. Never assert on anything that came from a peer, a
 * client or a file: in a Byzantine setting such an assertion is a remote kill switch.
 */
#ifndef ORDAIN_CORE_ASSERT_H
#define ORDAIN_CORE_ASSERT_H

/* Prints the broken invariant to standard error and aborts. */
_Noreturn void ord_assert_fail(const char *expression, const char *file, int line);

#define ORD_ASSERT(expression) ((expression) ? (void) 0 : ord_assert_fail(#expression, __FILE__, __LINE__))

/* For checks that cost more than the work that they guard. They are on in test builds only. */
#ifdef ORD_SLOW_ASSERTS
#define ORD_ASSERT_SLOW(expression) ORD_ASSERT(expression)
#else
#define ORD_ASSERT_SLOW(expression) ((void) 0)
#endif

#endif
