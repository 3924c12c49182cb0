/*
 * thread: what the scheduler is told about a thread. A request must not wait on its core until a
 * thread behind it has read a long list from storage: so workers are prompt, all others give way.
 * Called by a thread for itself, at its start; threads that it makes later inherit it (those of the
 * storage library do). Hints: where the system refuses one, the thread runs as any other.
 */
#ifndef GATE_BASE_THREAD_H
#define GATE_BASE_THREAD_H

/* Workers. Asks for turns of 0.1 ms, the shortest there are: who asks for short ones gets the core
 * sooner when it wakes (Linux 6.12 and later; before, nothing changes). Its share of the processor
 * stays the same. */
void gate_thread_be_prompt(void);

/* Everybody else. A batch thread takes no core from one that runs, and 10 steps of niceness leave
 * it a tenth of a core that others want whole: little, but never nothing. */
void gate_thread_give_way(void);

#endif
