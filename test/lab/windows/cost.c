/* What windows and reads cost. */
#include "file.h"
#include "windows.h"

/* Nanoseconds a page: to map and unmap a window, and with a byte of each page touched. Instructions under -icount. */
void cost(const char *name, uint64_t offset, uint64_t size)
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

void cost_of_read(uint64_t offset, uint64_t step)
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
