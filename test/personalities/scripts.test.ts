/**
 * The calls of the kdump scripts there are, with vmcopy in the place of their tools: what they look at (exit codes,
 * files, lines of debugging messages) is what they are used to. The calls are those of kdump-utils' kdump.sh and mkdumprd,
 * kdump-tools' kdump-config and openSUSE's kdump-save; a vmcore in a file stands for /proc/vmcore.
 */
import { afterEach, beforeAll, expect, it } from "bun:test";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { temporaryFolder } from "../support/files.ts";
import { type Ended, possible, programNamed, shell, vmcopy } from "../support/program.ts";
import { writeSampleFile } from "../support/sample.ts";

const path = temporaryFolder();
const source = path("vmcore");
const crash = path("crash");
const bin = path("bin");
programNamed(bin, "vmcopy");
programNamed(bin, "makedumpfile");
programNamed(bin, "vmcore-dmesg");
const dash = possible("dash -c true") ? it : it.skip;

/** Runs a script by a shell, with our programs before others. @param by dash or bash */
const script = (by: string, text: string): Promise<Ended> =>
  shell(`export PATH=${bin}:$PATH VMCORE=${source} DIR=${crash}; exec ${by} -s <<'END'\n${text}\nEND`);
const left = () => [...new Bun.Glob("*").scanSync(crash)].sort();
const isWhole = async (name: string) => (await vmcopy("verify", `${crash}/${name}`, source)).code === 0;

beforeAll(() => {
  writeSampleFile(source, { size: 24 << 20, seed: 9 });
  mkdirSync(crash);
});

afterEach(() => {
  rmSync(crash, { recursive: true });
  mkdirSync(crash);
});

dash("kdump-utils, to a file system", async () => {
  const { code, err } = await script(
    "dash",
    `set -e
vmcore-dmesg "$VMCORE" > "$DIR/vmcore-dmesg-incomplete.txt"
mv "$DIR/vmcore-dmesg-incomplete.txt" "$DIR/vmcore-dmesg.txt"
makedumpfile -l --message-level 7 -d 31 --num-threads=2 "$VMCORE" "$DIR/vmcore-incomplete" > "$DIR/console" 2>&1
sync -f "$DIR/vmcore-incomplete"
mv "$DIR/vmcore-incomplete" "$DIR/vmcore"`,
  );
  expect([code, err]).toEqual([0, ""]);
  expect(left()).toEqual(["console", "vmcore", "vmcore-dmesg.txt"]);
  expect(readFileSync(`${crash}/console`, "utf8")).toEndWith("makedumpfile Completed.\n");
  expect(readFileSync(`${crash}/vmcore-dmesg.txt`, "utf8")).toContain("Kernel panic");
  expect(await isWhole("vmcore")).toBe(true);
});

dash(
  "kdump-utils, with copy as its core_collector: the dump is renamed and its manifest is not",
  async () => {
    const { code, err } = await script(
      "dash",
      `set -e
vmcopy copy -q -d 31 -c zstd "$VMCORE" "$DIR/vmcore-incomplete"
mv "$DIR/vmcore-incomplete" "$DIR/vmcore"`,
    );
    expect([code, err]).toEqual([0, ""]);
    const verified = await vmcopy("verify", "--json", `${crash}/vmcore`);
    expect(JSON.parse(verified.out)).toMatchObject({
      ok: true,
      method: "manifest",
      manifest: `${crash}/vmcore-incomplete.manifest.json`,
    });
  },
);

dash(
  "kdump-utils, with copy as its core_collector for ssh and raw targets: the source is all it names",
  async () => {
    const { code, err } = await script(
      "bash",
      `set -e -o pipefail
vmcopy copy -q -d 31 -c zstd "$VMCORE" - | dd bs=512 of="$DIR/vmcore-incomplete" 2>/dev/null
mv "$DIR/vmcore-incomplete" "$DIR/vmcore.flat"
head -c 1M /dev/urandom >> "$DIR/vmcore.flat"
makedumpfile -R "$DIR/vmcore" < "$DIR/vmcore.flat" > /dev/null
vmcopy copy -q "$DIR/vmcore.flat" "$DIR/rearranged"
cmp "$DIR/vmcore" "$DIR/rearranged"`,
    );
    expect([code, err]).toEqual([0, ""]);
    expect([await isWhole("vmcore"), await isWhole("rearranged")]).toEqual([true, true]);
  },
);

dash("kdump-utils, through ssh and to a raw device", async () => {
  const { code } = await script(
    "dash",
    `makedumpfile -l --message-level 7 -d 31 -F "$VMCORE" | dd bs=512 of="$DIR/vmcore-incomplete" 2>/dev/null
mv "$DIR/vmcore-incomplete" "$DIR/vmcore.flat"
makedumpfile -R "$DIR/vmcore" < "$DIR/vmcore.flat"`,
  );
  expect(code).toBe(0);
  expect(left()).toEqual(["vmcore", "vmcore.flat"]);
  expect([await isWhole("vmcore"), await isWhole("vmcore.flat")]).toEqual([true, true]);
});

it("kdump-utils, when it looks at the configuration", async () => {
  const { code, out } = await script(
    "bash",
    `makedumpfile --check-params -l --message-level 7 -d 31 vmcore dumpfile || exit 3
makedumpfile --check-params -F -l -d 31 vmcore || exit 4
makedumpfile --check-params -l -d 99 vmcore dumpfile && exit 5
makedumpfile --check-params --eppic x -x vmlinux vmcore dumpfile 2>/dev/null && exit 6
exit 0`,
  );
  expect([code, out]).toEqual([0, "Dump_level(99) is invalid.\n"]);
});

dash("kdump-tools", async () => {
  const { code } = await script(
    "dash",
    `makedumpfile --dump-dmesg "$VMCORE" "$DIR/dmesg.202601010000" || exit 3
sync
makedumpfile -F -c -d 31 "$VMCORE" > "$DIR/dump-incomplete" || exit 4
mv "$DIR/dump-incomplete" "$DIR/dump.202601010000"`,
  );
  expect([code, left()]).toEqual([0, ["dmesg.202601010000", "dump.202601010000"]]);
  expect(statSync(`${crash}/dmesg.202601010000`).mode & 0o777).toBe(0o600);
  expect(await isWhole("dump.202601010000")).toBe(true);
});

it("openSUSE's kdump: by a FIFO, with kernel and crash time read from what is said", async () => {
  const { code, out } = await script(
    "bash",
    `F=$DIR/fifo; mkfifo $F
makedumpfile -F --message-level 8 --dump-dmesg "$VMCORE" > $F 2> $DIR/said & cat $F > $DIR/dmesg; wait $! || exit 3
IFS=" ="; while read KEY VALUE; do
  [[ CRASHTIME == "$KEY" ]] && echo time $VALUE; [[ OSRELEASE == "$KEY" ]] && echo kernel $VALUE
done < $DIR/said; unset IFS
makedumpfile -F -z --num-threads 2 --message-level 6 -d 31 "$VMCORE" > $F & cat $F > $DIR/vmcore; wait $! || exit 4
makedumpfile -F -z --message-level 4 -d 31 "$DIR/none" > $F & cat $F > $DIR/none.out; wait $! && exit 5
rm $F; exit 0`,
  );
  expect(code).toBe(0);
  expect(out).toMatch(/^kernel 6\.1\.0-sample-amd64\ntime 1700000000\n$/);
  expect(readFileSync(`${crash}/dmesg`, "utf8")).toContain("Kernel panic");
  expect(await isWhole("vmcore")).toBe(true);
  expect(existsSync(`${crash}/vmcore.incomplete`)).toBe(false);
});
