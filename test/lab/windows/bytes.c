/* Bytes by read in pieces of any size, and by windows of any size and at every border. */
#include "file.h"
#include "windows.h"

/* FNV-1a over words of 8 bytes: fast enough for emulation. */
static uint64_t digest(uint64_t hash, const void *bytes, uint64_t size)
{
	const uint64_t *words = bytes;

	for (uint64_t i = 0; i < size / 8; i++)
		hash = (hash ^ words[i]) * 0x100000001b3;
	return hash;
}

void digest_reads(uint64_t step)
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
void digest_windows(uint64_t step)
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
void borders(void)
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
