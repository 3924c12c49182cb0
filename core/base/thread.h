/*
 * thread: what the scheduler is told about a thread. A request must not wait on its core until a
 * thread that answers the console has read a long list: every thread but the workers gives way.
 */
#ifndef GATE_BASE_THREAD_H
#define GATE_BASE_THREAD_H

/* Called by a thread for itself, at its start; threads that it makes later inherit it (those of the
 * storage library do). It becomes batch work with 10 steps of niceness, which leave it a tenth of a
 * core that others want whole: little, but never nothing. And it asks for long turns, because who
 * wakes with shorter ones gets the core at once (Linux 6.12 and later; before, niceness does what
 * it can). A hint: where the system refuses it, the thread runs as any other. */
void gate_thread_give_way(void);

#endif
