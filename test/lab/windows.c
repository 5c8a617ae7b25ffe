/*
 * What a program can see of /proc/vmcore's mappings, as lines of `name: value` that kernels.test.ts compares between
 * kernels: bytes by read and by mmap, windows at every border, page-table attributes, and what happens when a window
 * is split, protected, forked, written from. In C: fork() and the page tables of a small process are its subject.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096UL
#define HUGE (2UL << 20)
#define MIB (1UL << 20)
#define CHUNK MIB
#define MOST 64

/* A part of the file that the kernel maps as one: headers, notes, each PT_LOAD. Bytes, whole pages. */
struct object {
	uint64_t offset, size, paddr;
} objects[MOST];
static int count, largest;
static int fd;
static uint64_t file_size;
static unsigned char *buffer, *other;

static void fail(const char *what)
{
	printf("failed: %s: %s\n", what, strerrorname_np(errno));
	exit(1);
}

static const char *error(int failed)
{
	return failed ? strerrorname_np(errno) : "ok";
}

static void add(uint64_t offset, uint64_t end, uint64_t paddr)
{
	uint64_t start = offset & ~(PAGE - 1);

	if (count == MOST)
		fail("too many objects");
	objects[count++] = (struct object){ start, ((end + PAGE - 1) & ~(PAGE - 1)) - start, paddr & ~(PAGE - 1) };
}

static void read_all(void *to, uint64_t size, uint64_t offset, uint64_t step)
{
	while (size > 0) {
		ssize_t got = pread(fd, to, size < step ? size : step, offset);

		if (got <= 0)
			fail("pread");
		to = (char *)to + got;
		offset += got;
		size -= got;
	}
}

static void find_objects(void)
{
	Elf64_Ehdr *header = (Elf64_Ehdr *)buffer;
	Elf64_Phdr *segments = (Elf64_Phdr *)(buffer + sizeof(*header));
	int ragged = 0;

	read_all(buffer, PAGE, 0, PAGE);
	add(0, sizeof(*header) + header->e_phnum * sizeof(*segments), 0);
	for (int i = 0; i < header->e_phnum; i++) {
		const Elf64_Phdr *segment = &segments[i];

		add(segment->p_offset, segment->p_offset + segment->p_filesz, segment->p_paddr);
		if (segment->p_type != PT_LOAD)
			continue;
		if (objects[count - 1].size > objects[largest].size)
			largest = count - 1;
		ragged += (segment->p_paddr & (PAGE - 1)) != 0;
		ragged += ((segment->p_paddr + segment->p_filesz) & (PAGE - 1)) != 0;
	}
	file_size = objects[count - 1].offset + objects[count - 1].size;
	printf("loads: %d\nragged ends: %d\nsize: %lu\n", count - 2, ragged, file_size);
}

static unsigned char *map_at(void *address, uint64_t size, uint64_t offset)
{
	return mmap(address, size, PROT_READ, MAP_PRIVATE | (address ? MAP_FIXED : 0), fd, offset);
}

static unsigned char *map(uint64_t size, uint64_t offset)
{
	unsigned char *window = map_at(NULL, size, offset);

	if (window == MAP_FAILED)
		fail("mmap");
	return window;
}

/* Where mapped bytes are what read() says. */
static int same(const unsigned char *window, uint64_t size, uint64_t offset)
{
	for (uint64_t done = 0; done < size; done += CHUNK) {
		uint64_t step = size - done < CHUNK ? size - done : CHUNK;

		read_all(other, step, offset + done, step);
		if (memcmp(window + done, other, step) != 0)
			return 0;
	}
	return 1;
}

static const char *verdict(int is_same)
{
	return is_same ? "same" : "DIFFERENT";
}

/* FNV-1a over words of 8 bytes: fast enough for emulation. */
static uint64_t digest(uint64_t hash, const void *bytes, uint64_t size)
{
	const uint64_t *words = bytes;

	for (uint64_t i = 0; i < size / 8; i++)
		hash = (hash ^ words[i]) * 0x100000001b3;
	return hash;
}

static void digest_reads(uint64_t step)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (uint64_t offset = 0; offset < file_size; offset += CHUNK) {
		uint64_t size = file_size - offset < CHUNK ? file_size - offset : CHUNK;

		read_all(buffer, size, offset, step);
		hash = digest(hash, buffer, size);
	}
	printf("digest read %lu: %016lx\n", step, hash);
}

/* Windows of one size within each object; 0 is one window for all of the file. */
static void digest_windows(uint64_t step)
{
	uint64_t hash = 0xcbf29ce484222325;
	uint64_t lengths = step ? step : file_size;

	for (int i = 0; i < (step ? count : 1); i++) {
		uint64_t end = step ? objects[i].offset + objects[i].size : file_size;

		for (uint64_t offset = objects[i].offset; offset < end; offset += lengths) {
			uint64_t size = end - offset < lengths ? end - offset : lengths;
			unsigned char *window = map_at(NULL, size, offset);

			if (window == MAP_FAILED) {
				printf("digest windows %lu: %s\n", step, error(1));
				return;
			}
			hash = digest(hash, window, size);
			munmap(window, size);
		}
	}
	printf("digest windows %lu: %016lx\n", step, hash);
}

/* Windows that end at, begin at and lie across each border, of few pages and of more than a huge page. */
static void borders(void)
{
	static const uint64_t sizes[] = { PAGE, 3 * PAGE, HUGE - PAGE, HUGE, HUGE + PAGE, 2 * HUGE, 5 * HUGE + PAGE };
	int windows = 0, different = 0, refused = 0;

	for (int i = 1; i < count; i++) {
		for (unsigned int s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
			for (int part = 0; part <= 4; part++) {
				uint64_t size = sizes[s], border = objects[i].offset;
				uint64_t before = (size * part / 4) & ~(PAGE - 1);
				unsigned char *window;

				if (before > border || border - before + size > file_size)
					continue;
				windows++;
				window = map_at(NULL, size, border - before);
				if (window == MAP_FAILED) {
					refused++;
					continue;
				}
				different += !same(window, size, border - before);
				munmap(window, size);
			}
		}
	}
	printf("borders: %s\n", windows < 10 ? "TOO FEW" : "ok");
	printf("borders different: %d\nborders refused: %d\n", different, refused);
}

/* Entries of this process's page tables in a range, by the kernel's own dump: levels, and whether any is uncached. */
static void attributes(const char *name, uint64_t offset, uint64_t size)
{
	static char line[256];
	unsigned char *window = map_at(NULL, size, offset);
	int uncached = 0, levels[4] = { 0 };
	volatile unsigned char sum = 0;
	FILE *dump;

	if (window == MAP_FAILED) {
		printf("attributes %s: %s\n", name, error(1));
		return;
	}
	for (uint64_t i = 0; i < size; i += PAGE)
		sum += window[i];
	dump = fopen("/sys/kernel/debug/page_tables/current_kernel", "r");
	if (dump == NULL)
		fail("page_tables/current_kernel");
	while (fgets(line, sizeof(line), dump)) {
		unsigned long start, end;

		if (sscanf(line, "0x%lx-0x%lx", &start, &end) != 2)
			continue;
		if (end <= (unsigned long)window || start >= (unsigned long)window + size || strstr(line, " ro ") == NULL)
			continue;
		uncached += strstr(line, "PCD") != NULL;
		levels[0] += strstr(line, " pte") != NULL;
		levels[1] += strstr(line, " pmd") != NULL;
		levels[2] += strstr(line, " pud") != NULL;
	}
	fclose(dump);
	munmap(window, size);
	printf("attributes %s: %s%s%s%s\n", name, uncached ? "uncached" : "cached", levels[0] ? " pte" : "",
	       levels[1] ? " pmd" : "", levels[2] ? " pud" : "");
}

/* A number of /proc/self/status, kB. */
static long status(const char *name)
{
	static char line[256];
	long value = -1;
	FILE *file = fopen("/proc/self/status", "r");

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, name, strlen(name)) == 0)
			value = strtol(line + strlen(name) + 1, NULL, 10);
	if (file)
		fclose(file);
	return value;
}

static void page_tables(uint64_t offset, uint64_t size)
{
	long before = status("VmPTE");
	volatile unsigned char sum = 0;
	unsigned char *window = map(size, offset);

	for (uint64_t i = 0; i < size; i += PAGE)
		sum += window[i];
	printf("page tables of %lu MiB, kB: %ld\n", size / MIB, status("VmPTE") - before);
	munmap(window, size);
}

static long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000L + time.tv_nsec;
}

/* Nanoseconds a page: to map and unmap a window, and with a byte of each page touched. Instructions under -icount. */
static void cost(const char *name, uint64_t offset, uint64_t size)
{
	volatile unsigned char sum = 0;
	double least[2] = { 1e9, 1e9 };

	for (int round = 0; round < 10; round++) {
		long start = now();
		unsigned char *window = map_at(NULL, size, offset);
		double spent;

		if (window == MAP_FAILED) {
			printf("cost %s: %s\n", name, error(1));
			return;
		}
		for (uint64_t i = 0; round % 2 && i < size; i += PAGE)
			sum += window[i];
		munmap(window, size);
		spent = (double)(now() - start) / (size / PAGE);
		if (spent < least[round % 2])
			least[round % 2] = spent;
	}
	printf("cost %s: map %.1f, map and touch %.1f ns a page\n", name, least[0], least[1]);
}

static void cost_of_read(uint64_t offset, uint64_t step)
{
	double least = 1e9;

	for (int round = 0; round < 5; round++) {
		long start = now();

		for (uint64_t done = 0; done < 8 * MIB; done += step)
			if (pread(fd, buffer, step, offset + done) != (ssize_t)step)
				fail("pread");
		if ((double)(now() - start) / (8 * MIB / PAGE) < least)
			least = (double)(now() - start) / (8 * MIB / PAGE);
	}
	printf("cost read %lu KiB: %.0f ns a page\n", step >> 10, least);
}

static sigjmp_buf back;

static void on_signal(int number)
{
	siglongjmp(back, number);
}

static const char *touch(const volatile unsigned char *address)
{
	int number = sigsetjmp(back, 1);

	if (number == 0)
		(void)*address;
	return number == 0 ? "ok" : number == SIGBUS ? "SIGBUS" : "SIGSEGV";
}

/* Unmaps the middle, protects a part and takes that back: the other bytes stay. */
static void split(uint64_t offset, uint64_t size)
{
	unsigned char *window = map(size, offset);

	printf("whole: %s\n", verdict(same(window, size, offset)));
	munmap(window + HUGE + PAGE, PAGE);
	printf("after the middle was unmapped: %s\n",
	       verdict(same(window, HUGE + PAGE, offset) &&
		       same(window + HUGE + 2 * PAGE, size - HUGE - 2 * PAGE, offset + HUGE + 2 * PAGE)));
	printf("touching the hole: %s\n", touch(window + HUGE + PAGE));
	munmap(window, HUGE + 2 * PAGE);
	window += HUGE + 2 * PAGE;
	offset += HUGE + 2 * PAGE;
	size -= HUGE + 2 * PAGE;

	printf("mprotect none: %s\n", error(mprotect(window + 7 * PAGE, PAGE, PROT_NONE)));
	printf("touching it: %s\n", touch(window + 7 * PAGE));
	printf("touching beside it: %s\n", touch(window + 8 * PAGE));
	printf("mprotect read: %s\n", error(mprotect(window + 7 * PAGE, PAGE, PROT_READ)));
	printf("mprotect write: %s\n", error(mprotect(window, PAGE, PROT_READ | PROT_WRITE)));
	printf("mprotect exec: %s\n", error(mprotect(window, PAGE, PROT_READ | PROT_EXEC)));
	printf("after mprotect: %s\n", verdict(same(window, size, offset)));
}

/* To an address where no huge page can be; growing is refused there and everywhere. */
static void moved(uint64_t offset, uint64_t size)
{
	unsigned char *window = map(size, offset), *place;

	(void)*(volatile unsigned char *)window;
	place = mmap(NULL, size + HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	window = mremap(window, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, place + 3 * PAGE);
	printf("moved: %s\n", error(window == MAP_FAILED));
	if (window == MAP_FAILED)
		return;
	printf("after the move: %s\n", verdict(same(window, size, offset)));
	printf("grow: %s\n", error(mremap(window, size, size + PAGE, MREMAP_MAYMOVE) == MAP_FAILED));
	munmap(place, size + HUGE);
}

/* A child sees the same, of what was touched before and of what was not, after its parent has unmapped it too. */
static void forked(uint64_t offset, uint64_t size)
{
	unsigned char *window = map(size, offset);
	int result = -1, ready[2];
	char byte;
	pid_t child;

	(void)*(volatile unsigned char *)window;
	fflush(stdout);
	if (pipe(ready) != 0)
		fail("pipe");
	child = fork();
	if (child < 0)
		fail("fork");
	if (child == 0) {
		close(ready[1]);
		(void)!read(ready[0], &byte, 1);
		_exit(same(window, size, offset) ? 0 : 1);
	}
	munmap(window, size);
	close(ready[0]);
	close(ready[1]);
	waitpid(child, &result, 0);
	printf("fork: %s\n", verdict(result == 0));
}

static void written(uint64_t offset)
{
	unsigned char *window = map(HUGE, offset);
	int direct = open("/out/direct", O_CREAT | O_RDWR | O_DIRECT, 0600);
	int plain = open("/out/plain", O_CREAT | O_RDWR, 0600);
	ssize_t sent;

	printf("O_DIRECT: %s\n", error(write(direct, window, HUGE) < 0));
	/* After it was touched there are page tables to be walked without a fault. */
	printf("touched: %s\n", touch(window));
	printf("O_DIRECT after a touch: %s\n", error(write(direct, window, HUGE) < 0));
	sent = write(plain, window, HUGE);
	printf("write: %s\n", sent == (ssize_t)HUGE ? "ok" : "SHORT");
	munmap(window, HUGE);
	lseek(plain, 0, SEEK_SET);
	for (uint64_t done = 0; done < HUGE; done += CHUNK) {
		(void)!read(plain, buffer, CHUNK);
		printf("written: %s\n", verdict(same(buffer, CHUNK, offset + done)));
	}
	unlink("/out/direct");
	unlink("/out/plain");
}

static void refused(uint64_t offset)
{
	unsigned char *window = map(HUGE, offset), *fixed, *place, *pages;

	printf("across the end: %s\n", error(map_at(NULL, 2 * PAGE, file_size - PAGE) == MAP_FAILED));
	printf("across the end, large: %s\n", error(map_at(NULL, 2 * HUGE, file_size - HUGE) == MAP_FAILED));
	printf("behind the end: %s\n", error(map_at(NULL, PAGE, file_size) == MAP_FAILED));
	printf("read behind the end: %zd\n", pread(fd, buffer, PAGE, file_size));
	printf("writable: %s\n", error(mmap(NULL, HUGE, PROT_WRITE, MAP_PRIVATE, fd, offset) == MAP_FAILED));
	printf("executable: %s\n", error(mmap(NULL, HUGE, PROT_EXEC, MAP_PRIVATE, fd, offset) == MAP_FAILED));
	printf("dontneed: %s\n", error(madvise(window, HUGE, MADV_DONTNEED)));
	printf("populate: %s\n", error(madvise(window, HUGE, MADV_POPULATE_READ)));
	printf("still: %s\n", verdict(same(window, HUGE, offset)));
	munmap(window, HUGE);

	/* An address where no huge page can be. */
	place = mmap(NULL, 3 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	fixed = map_at((unsigned char *)((unsigned long)place & ~(HUGE - 1)) + HUGE / 2 + PAGE, HUGE, offset);
	printf("at a fixed address: %s\n", verdict(fixed != MAP_FAILED && same(fixed, HUGE, offset)));
	munmap(place, 3 * HUGE);

	/* A buffer that ends before the read does. */
	pages = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(pages + PAGE, 3 * PAGE);
	errno = 0;
	printf("read into half a buffer: %zd", pread(fd, pages, 2 * PAGE, offset));
	printf(" %s\n", errno ? strerrorname_np(errno) : "ok");
	munmap(pages, PAGE);
}

/* Reads one piece again and again, while the host injects memory errors: zeros to the end of a page, or all bytes. */
static void errors(void)
{
	uint64_t offset = 0, nonzero;
	int lost = 0, wrong = 0;
	long end;

	do {
		offset += CHUNK;
		if (offset + CHUNK > file_size)
			fail("no piece without zeros");
		read_all(buffer, CHUNK, offset, PAGE);
		for (nonzero = 0; nonzero < CHUNK && *(uint64_t *)(buffer + nonzero + PAGE - 8) != 0; nonzero += PAGE)
			;
	} while (nonzero < CHUNK);
	/* The console is the only way to tell the host. */
	fflush(stdout);
	(void)!system("echo 'LAB: reading' > /dev/console");
	for (end = now() + 6000000000L; now() < end;) {
		read_all(other, CHUNK, offset, CHUNK);
		for (uint64_t at = 0; at < CHUNK; at += PAGE) {
			if (*(uint64_t *)(buffer + at + PAGE - 8) == *(uint64_t *)(other + at + PAGE - 8))
				continue;
			lost++;
			for (uint64_t i = at, zeros = 0; i < at + PAGE; i++) {
				zeros |= other[i] != buffer[i];
				wrong += zeros ? other[i] != 0 : other[i] != buffer[i];
			}
		}
	}
	printf("pages lost: %d\nbytes wrong: %d\n", lost, wrong);
}

int main(int argc, char **argv)
{
	const struct object *load;
	uint64_t aligned, size;

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGBUS, on_signal);
	signal(SIGSEGV, on_signal);
	fd = open("/proc/vmcore", O_RDONLY);
	if (fd < 0)
		fail("open");
	buffer = mmap(NULL, 2 * CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	other = buffer + CHUNK;
	find_objects();
	load = &objects[largest];
	aligned = load->offset + (-load->paddr & (HUGE - 1));

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "bytes") == 0) {
			digest_reads(PAGE);
			digest_reads(CHUNK);
			digest_reads(64 * 1024 - 123);
		} else if (strcmp(argv[i], "windows") == 0) {
			digest_windows(PAGE * 5);
			digest_windows(4 * MIB);
			digest_windows(64 * MIB);
			digest_windows(0);
			borders();
		} else if (strcmp(argv[i], "borders") == 0) {
			borders();
		} else if (strcmp(argv[i], "ways") == 0) {
			split(aligned, 4 * HUGE);
			split(aligned + 5 * PAGE, 4 * HUGE);
			moved(aligned, 4 * HUGE);
			forked(aligned, 4 * HUGE);
			forked(load->offset + PAGE, 4 * HUGE);
			written(aligned);
			refused(aligned + HUGE);
		} else if (strcmp(argv[i], "tables") == 0) {
			size = (load->size - HUGE < 512 * MIB ? load->size - HUGE : 512 * MIB) & ~(HUGE - 1);
			attributes("inside, small", load->offset, 4 * PAGE);
			attributes("inside", aligned, 8 * MIB);
			attributes("inside, no huge page", aligned + PAGE, HUGE);
			attributes("across the border", load->offset - PAGE, 8 * MIB);
			attributes("whole file", 0, file_size);
			page_tables(aligned, size);
		} else if (strcmp(argv[i], "errors") == 0) {
			errors();
		} else if (strcmp(argv[i], "cost") == 0) {
			cost("inside, 4 KiB", aligned, PAGE);
			cost("inside, 64 KiB", aligned, 16 * PAGE);
			cost("inside, 2 MiB", aligned, HUGE);
			cost("inside, 4 MiB", aligned, 4 * MIB);
			cost("inside, 64 MiB", aligned, 64 * MIB);
			cost("inside, 4 MiB not aligned", load->offset, 4 * MIB);
			cost("inside, 64 MiB not aligned", load->offset, 64 * MIB);
			cost("across the border, 4 MiB", load->offset - PAGE, 4 * MIB);
			cost("whole file", 0, file_size);
			for (size = PAGE; size <= CHUNK; size *= 4)
				cost_of_read(aligned, size);
		} else if (strcmp(argv[i], "gigantic") == 0) {
			aligned = load->offset + (-load->paddr & ((1UL << 30) - 1));
			attributes("1 GiB", aligned, 1UL << 30);
			page_tables(aligned, 1UL << 30);
			split(aligned, 1UL << 30);
			moved(aligned, 1UL << 30);
			forked(aligned, 1UL << 30);
		}
	}
	printf("done: ok\n");
	return 0;
}
