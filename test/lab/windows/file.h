/* /proc/vmcore as a file: its objects, reading, mapping, and whether the two agree. */
#ifndef FILE_H
#define FILE_H

#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096UL
#define HUGE (2UL << 20)
#define MIB (1UL << 20)
#define CHUNK MIB
#define MOST 64

/* A part of the file that the kernel maps as one: headers, notes, each PT_LOAD. Bytes, whole pages. */
struct object {
	uint64_t offset, size, paddr;
};

extern struct object objects[MOST];
/* Objects, and which of them is the largest PT_LOAD. */
extern int count, largest;
extern int fd;
extern uint64_t file_size;
/* Of CHUNK bytes each; same() uses the second. */
extern unsigned char *buffer, *other;

/* Says what failed and why, and ends the program. */
void fail(const char *what);
/* The name of errno, or "ok". */
const char *error(int failed);
const char *verdict(int is_same);
void open_file(void);
void read_all(void *to, uint64_t size, uint64_t offset, uint64_t step);
/* MAP_FAILED where it fails; at an address of the kernel's choice where `address` is NULL. */
unsigned char *map_at(void *address, uint64_t size, uint64_t offset);
/* Ends the program where it fails. */
unsigned char *map(uint64_t size, uint64_t offset);
/* Whether mapped bytes are what read() says. */
int same(const unsigned char *window, uint64_t size, uint64_t offset);
/* Nanoseconds. */
long now(void);

#endif
