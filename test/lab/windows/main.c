/*
 * What a program can see of /proc/vmcore's mappings, as lines of `name: value` that kernels.test.ts compares between
 * kernels: bytes by read and by mmap, windows at every border, page-table attributes, and what happens when a window
 * is split, protected, forked, written from. In C: fork() and the page tables of a small process are its subject.
 */
#include "file.h"
#include "windows.h"

int main(int argc, char **argv)
{
	const struct object *load;
	uint64_t aligned, size;

	setvbuf(stdout, NULL, _IOLBF, 0);
	catch_signals();
	open_file();
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
