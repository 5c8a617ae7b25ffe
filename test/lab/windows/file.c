/* See file.h. */
#include "file.h"

#include <elf.h>
#include <fcntl.h>
#include <time.h>

struct object objects[MOST];
int count, largest;
int fd;
uint64_t file_size;
unsigned char *buffer, *other;

void fail(const char *what)
{
	printf("failed: %s: %s\n", what, strerrorname_np(errno));
	exit(1);
}

const char *error(int failed)
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

void read_all(void *to, uint64_t size, uint64_t offset, uint64_t step)
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

unsigned char *map_at(void *address, uint64_t size, uint64_t offset)
{
	return mmap(address, size, PROT_READ, MAP_PRIVATE | (address ? MAP_FIXED : 0), fd, offset);
}

unsigned char *map(uint64_t size, uint64_t offset)
{
	unsigned char *window = map_at(NULL, size, offset);

	if (window == MAP_FAILED)
		fail("mmap");
	return window;
}

int same(const unsigned char *window, uint64_t size, uint64_t offset)
{
	/* Of a gigantic window a part is enough. */
	uint64_t next = size > 256 * MIB ? 32 * CHUNK : CHUNK;

	for (uint64_t done = 0; done < size; done += next) {
		uint64_t step = size - done < CHUNK ? size - done : CHUNK;

		read_all(other, step, offset + done, step);
		if (memcmp(window + done, other, step) != 0)
			return 0;
	}
	return 1;
}

const char *verdict(int is_same)
{
	return is_same ? "same" : "DIFFERENT";
}

long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000L + time.tv_nsec;
}

void open_file(void)
{
	fd = open("/proc/vmcore", O_RDONLY);
	if (fd < 0)
		fail("open");
	buffer = mmap(NULL, 2 * CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	other = buffer + CHUNK;
	find_objects();
}
