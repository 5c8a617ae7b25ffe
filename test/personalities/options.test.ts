/** makedumpfile's command lines: what they ask for, and that they are right or wrong as makedumpfile itself finds them. */
import { describe, expect, it } from "bun:test";
import { threadsFor } from "../../src/personalities/makedumpfile/dumps.ts";
import { type Request, readRequest } from "../../src/personalities/makedumpfile/options.ts";
import { called, shell } from "../support/program.ts";

const words = (line: string) => line.split(" ").filter(Boolean);

describe("what is asked for", () => {
  it.each<[string, Partial<Request>]>([
    ["v d", { mode: "create", levels: [0], codec: "none", format: "kdump", jobs: 1, messages: 7 }],
    ["-l --message-level 7 -d 31 v d", { codec: "lzo", levels: [31], sources: ["v"], dests: ["d"] }],
    ["-c -d 11,31 v d", { codec: "zlib", levels: [11, 31] }],
    ["-z v d", { codec: "zstd" }],
    ["-pd1 v d", { codec: "snappy", levels: [1] }],
    ["-E -d 31 v d", { format: "elf", codec: "none" }],
    ["-F -c -d 31 v", { flatten: true, sources: ["v"], dests: [] }],
    ["-R d", { mode: "rearrange", sources: [], dests: ["d"] }],
    ["--split -l v a b c", { mode: "create", sources: ["v"], dests: ["a", "b", "c"] }],
    ["--reassemble a b c d", { mode: "reassemble", sources: ["a", "b", "c"], dests: ["d"] }],
    ["--dump-dmesg v log", { mode: "dmesg", partialDmesg: false, dests: ["log"] }],
    ["-F --dump-dmesg v", { mode: "dmesg", flatten: true, dests: [] }],
    ["--dump-dmesg --partial-dmesg v log", { partialDmesg: true }],
    ["--num-threads=4 v d", { jobs: 4 }],
    ["--num-threads 0 v d", { jobs: 1 }],
    ["--cyclic-buffer 1024 v d", { memory: 1 << 20 }],
    ["--non-mmap -f --dry-run v d", { nonMmap: true, force: true, dryRun: true }],
    ["-L 1000000 v d", { limit: 1_000_000 }],
    ["--show-stats v d", { messages: 23 }],
    ["-D --message-level 1 v d", { messages: 9 }],
    ["--work-dir /tmp -e -b 4 -x vmlinux --splitblock-size 64 v d", { vmlinux: "vmlinux" }],
    ["-i info v d", { vmcoreinfo: "info" }],
    ["-d a v d", { levels: [0] }],
    ["--mem-usage /proc/kcore", { mode: "usage", sources: ["/proc/kcore"], dests: [] }],
    ["-h", { mode: "help" }],
    ["-v", { mode: "version" }],
    ["--version", { mode: "version" }],
  ])("%j", (line, wanted) => {
    expect(readRequest(words(line))).toMatchObject(wanted);
  });
});

describe("what is not supported is refused by its name", () => {
  it.each([
    ["-g info -x vmlinux", "-g"],
    ["-X v d", "-X"],
    ["--xen-syms x v d", "--xen-syms"],
    ["--xen-vmcoreinfo x v d", "--xen-vmcoreinfo"],
    ["--xen_phys_start 0 v d", "--xen_phys_start"],
    ["--config c -x vmlinux v d", "--config"],
    ["--eppic e -x vmlinux v d", "--eppic"],
    ["--extension e v d", "--extension"],
    ["--diskset=a --diskset=b d", "--diskset"],
    ["--vtop 0 v d", "--vtop"],
  ])("%j", async (line, name) => {
    const { code, out, err } = await called("makedumpfile", ...words(line));
    expect([code, out]).toEqual([1, "\nmakedumpfile Failed.\n"]);
    expect(err).toMatch(new RegExp(`^makedumpfile: ${name} is not supported: [^\\n]+\\n$`));
  });
});

/** Command lines that both are asked about; the first word of standard error, the program's path, may differ. */
const ASKED =
  `v d|v|v a b||-l -d 31 v d|-d 32 v d|-d -1 v d|-d 31,32 v d|-d 1,31 v d|-d a v d|-dl v d|-ld31 v d
-E -l v d|-E -c v d|-E v d|-F -l v|-F -l v d|-F -E v|-F v d --split|-R d|-R|-R a b|-R -l d|-R -E d|-R -d 31 d
-R --num-threads 2 d|-R -x vmlinux d|-F -R d|--split v a|--split v a b|--split -E v a b|--split --reassemble a b c
--reassemble a b|--reassemble -l a b|--reassemble -d 31 a b|--reassemble -F a b|--reassemble a b -E
--dump-dmesg v|--dump-dmesg v d|--dump-dmesg -F v|--dump-dmesg -F v d|--dump-dmesg -l v d|--partial-dmesg v d
--dump-dmesg --dry-run v d|--dry-run v|--dry-run v d|--dry-run --reassemble a b c|--dump-d v d|--s v d|--split=3 v a b
--num-threads 2 v d|--num-threads=2 -E v d|--num-threads|-d|-L abc v d|-L 0 v d|-L 4096 v d|--message-level 32 v d
--message-level 0 -d 99 v d|--message-level -1 v d|-e v d|-e --work-dir /tmp v d|-x a -i b v d|-x a v d|-y v d|--foo v d
-b 4 v d|--cyclic-buffer 64 v d|--non-mmap v d|--show-stats -D v d|-l -- v -d|--split -F v a b|-f v d|-c -l v d
--mem-usage v|--mem-usage|--mem-usage a b|--mem-usage -l v|--mem-usage -F v|--mem-usage -d 31 v|--mem-usage --dry-run v`
    .split(/[|\n]/)
    .map((line) => [line] as [string]);

describe("threads", () => {
  const MiB = 1 << 20;
  it.each([
    ["as many as asked for", 2, 8, 4096 * MiB, 2],
    ["no more than processors", 64, 4, 4096 * MiB, 4],
    ["no more than half of the memory has room for", 64, 32, 200 * MiB, 3],
    ["one at least", 8, 8, 20 * MiB, 1],
    ["by processors where the memory is not known", 8, 4, 0, 4],
  ])("%s", (_, wanted, processors, available, threads) => {
    expect(threadsFor(wanted, processors, available)).toBe(threads);
  });
});

describe("--check-params says what makedumpfile says", () => {
  it.concurrent.each(ASKED)("%j", async (line) => {
    const ours = await called("makedumpfile", "--check-params", ...words(line));
    const theirs = await shell(`makedumpfile --check-params ${line}`);
    expect(ours).toEqual({ ...theirs, err: theirs.err.replace(/^\S*\/makedumpfile: /, "makedumpfile: ") });
  });
});
