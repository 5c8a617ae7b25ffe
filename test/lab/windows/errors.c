/* Memory errors that the host injects. */
#include "file.h"
#include "windows.h"

/* Reads one piece again and again, while the host injects memory errors: zeros to the end of a page, or all bytes. */
void errors(void)
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
