/**
 * Offsets, constants and errno against the C compiler: a small C program prints what the system's headers say.
 * Left out, and shown as such, where there is no C compiler.
 */
import { describe, expect, it } from "bun:test";
import { writeFileSync } from "node:fs";
import * as constants from "../../ffi/constants.ts";
import { LibcError } from "../../ffi/errno.ts";
import {
  AIOCB,
  AIOCB_SIZE,
  ITIMERSPEC,
  ITIMERSPEC_SIZE,
  POLLFD,
  SIGACTION,
  SIGACTION_SIZE,
  SIGEVENT,
  SIGEVENT_SIZE,
  SIGINFO,
  STATFS,
  STATX,
} from "../../ffi/structs.ts";
import { temporaryFolder } from "../support/files.ts";

const compiler = Bun.which("gcc") ?? Bun.which("cc");
const path = temporaryFolder();

const HEADERS = `#define _GNU_SOURCE
#include <aio.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>
#include <linux/fs.h>
#include <linux/kexec.h>
#include <linux/magic.h>
#include <linux/module.h>
#include <linux/watchdog.h>
`;

/** The standard library's names for constants whose own name differs, or that its headers leave out. */
const C_NAMES: Record<string, string> = { SC_PAGESIZE: "_SC_PAGESIZE", MAP_FAILED: "(long)MAP_FAILED" };

/** What each expression is to the compiler, as a number. */
function evaluate(expressions: readonly string[]): number[] {
  const lines = expressions.map((expression) => `  printf("%lld\\n", (long long)(${expression}));`);
  return compileAndRun(lines).map(Number);
}

function compileAndRun(lines: readonly string[]): string[] {
  writeFileSync(path("print.c"), `${HEADERS}int main(void) {\n${lines.join("\n")}\n}\n`);
  const built = Bun.spawnSync([compiler as string, "-w", "-o", path("print"), path("print.c")]);
  expect(built.stderr.toString()).toBe("");
  return Bun.spawnSync([path("print")])
    .stdout.toString()
    .trimEnd()
    .split("\n");
}

const STRUCTS = [
  ["struct statx", STATX],
  ["struct statfs", STATFS],
  ["struct pollfd", POLLFD],
  ["struct sigaction", SIGACTION],
  ["siginfo_t", SIGINFO],
  ["struct aiocb", AIOCB],
  ["struct sigevent", SIGEVENT],
  ["struct itimerspec", ITIMERSPEC],
] as const satisfies [string, Record<string, number>][];

describe.skipIf(compiler === null)(
  `against the C compiler (${compiler ?? "left out: no gcc, no cc"})`,
  () => {
    it.each(STRUCTS)("members of %s", (type, members) => {
      const names = Object.keys(members);
      const offsets = evaluate(names.map((member) => `offsetof(${type}, ${member})`));
      expect(Object.fromEntries(names.map((name, i) => [name, offsets[i]]))).toEqual(members);
    });

    it("sizes of what they are written into", () => {
      const written = ["sigaction", "aiocb", "sigevent", "itimerspec"];
      const sizes = evaluate([...written, "statx", "statfs"].map((name) => `sizeof(struct ${name})`));
      const [statx = 0, statfs = 0] = sizes.slice(written.length);
      expect(sizes.slice(0, written.length)).toEqual([
        SIGACTION_SIZE,
        AIOCB_SIZE,
        SIGEVENT_SIZE,
        ITIMERSPEC_SIZE,
      ]);
      // The scratch memory for structures has 4096 bytes.
      expect(Math.max(statx, statfs)).toBeLessThan(4096);
    });

    it("constants", () => {
      const ours: Record<string, number> = { ...constants };
      const names = Object.keys(ours);
      const theirs = evaluate(names.map((name) => C_NAMES[name] ?? name));
      expect(Object.fromEntries(names.map((name, i) => [name, theirs[i]]))).toEqual(ours);
    });

    it("errno, names and texts", () => {
      const numbers = Array.from({ length: 133 }, (_, i) => i + 1);
      const errors = numbers
        .map((number) => new LibcError("", "", number))
        .filter(({ code }) => /^E[A-Z]/.test(code));
      expect(errors.length).toBeGreaterThan(35);
      const lines = errors.map(({ code }) => `  printf("%d %s\\n", ${code}, strerror(${code}));`);
      // glibc's texts begin with a capital; one of them explains itself in brackets.
      const said = compileAndRun(lines).map((line) => line.toLowerCase());
      expect(said).toEqual(errors.map(({ errno, text }) => `${errno} ${text}`.toLowerCase()));
    });
  },
);
