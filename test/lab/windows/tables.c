/* What the kernel's own dump of page tables says of a window, and what the tables take. */
#include "file.h"
#include "windows.h"

/* Entries of this process's page tables in a range, by the kernel's own dump: levels, and whether any is uncached. */
void attributes(const char *name, uint64_t offset, uint64_t size)
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

void page_tables(uint64_t offset, uint64_t size)
{
	long before = status("VmPTE");
	volatile unsigned char sum = 0;
	unsigned char *window = map(size, offset);

	for (uint64_t i = 0; i < size; i += PAGE)
		sum += window[i];
	printf("page tables of %lu MiB, kB: %ld\n", size / MIB, status("VmPTE") - before);
	munmap(window, size);
}
