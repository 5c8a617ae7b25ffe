/* What happens when a window is split, protected, moved, forked, written from; and what is refused. */
#include "file.h"
#include "windows.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/wait.h>

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
void split(uint64_t offset, uint64_t size)
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
void moved(uint64_t offset, uint64_t size)
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
void forked(uint64_t offset, uint64_t size)
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

void written(uint64_t offset)
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

void refused(uint64_t offset)
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

void catch_signals(void)
{
	signal(SIGBUS, on_signal);
	signal(SIGSEGV, on_signal);
}
