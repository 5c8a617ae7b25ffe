/* What main.c calls by name. Offsets and sizes are bytes of /proc/vmcore. */
#ifndef WINDOWS_H
#define WINDOWS_H

#include <stdint.h>

/* bytes.c */
void digest_reads(uint64_t step);
void digest_windows(uint64_t step);
void borders(void);

/* tables.c */
void attributes(const char *name, uint64_t offset, uint64_t size);
void page_tables(uint64_t offset, uint64_t size);

/* cost.c */
void cost(const char *name, uint64_t offset, uint64_t size);
void cost_of_read(uint64_t offset, uint64_t step);

/* ways.c */
void split(uint64_t offset, uint64_t size);
void moved(uint64_t offset, uint64_t size);
void forked(uint64_t offset, uint64_t size);
void written(uint64_t offset);
void refused(uint64_t offset);
void catch_signals(void);

/* errors.c */
void errors(void);

#endif
