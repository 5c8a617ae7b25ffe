/** Real small disks, each mounted in a mount namespace of its own: too little space said at once, or met on the way. */
import { beforeAll, describe, expect, it } from "bun:test";
import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { temporaryFolder } from "../support/files.ts";
import { possible, shell, shellLine } from "../support/program.ts";
import { buildVmcore } from "../support/vmcores.ts";

const path = temporaryFolder();
const source = path("source");
const MIB = 1 << 20;
const mount = path("mount");
mkdirSync(mount);
const canMount = possible(`unshare -m sh -c 'mount -t tmpfs none ${mount}'`);
const canExt4 =
  canMount &&
  possible(
    `truncate -s 8M ${path("try")} && mkfs.ext4 -q ${path("try")} && unshare -m mount -o loop ${path("try")} ${mount}`,
  );

/** Half of it zeros, the other half not, in stretches. */
beforeAll(() => {
  const { bytes } = buildVmcore({
    loads: [{ offset: 0, length: 40 * MIB }],
    zeroPage: (page) => (page >> 6) % 2 === 0,
  });
  writeFileSync(source, bytes);
});

/** Runs a script with a tmpfs of so many bytes as `mount`. */
async function onTmpfs(size: number, script: string) {
  return await shell(`unshare -m bash -c "mount -t tmpfs -o size=${size} none ${mount} && { ${script}; }"`);
}

const line = (...args: string[]) => shellLine("copy", source, `${mount}/dump`, ...args);
const skipped = canMount
  ? ""
  : " (skipped: mounting in a namespace of one's own does not work here; it needs root)";

/** What a copy says that met the end of the disk: first that it may not fit, then that it did not. */
const FILLED =
  /may not fit: the dump needs about .* are free\n.*vmcopy: copy: Cannot write .*dump\.incomplete: no space left on device \(ENOSPC\): .* of 40\.\d MiB copied \(.*free up to .*what there is lies in .*--resume\n/s;

/** A script: a copy that does not fit, relief, one that goes on; prints three exit codes, modes on standard error. */
function fillsUp(relief: string, ...options: string[]): string {
  return [
    `${line("-q", ...options)}; first=\\$?`,
    `stat -c %a ${mount}/dump.incomplete ${mount}/dump.incomplete.manifest.json >&2`,
    relief,
    `${line("-q", "--resume", ...options)}; second=\\$?`,
    `cmp ${source} ${mount}/dump && ${shellLine("verify", `${mount}/dump`, "-q")}`,
    "echo \\$first \\$second \\$?",
  ].join("; ");
}

describe.skipIf(!canMount)(`a small tmpfs${skipped}`, () => {
  it.each([
    [
      "dense",
      ["--no-sparse"],
      30 * MIB,
      /needs about 40\.\d MiB \(its size\), 30 MiB \(31457280 bytes\) are free; free 10\.\d MiB/,
    ],
    [
      "sparse",
      [],
      8 * MIB,
      /needs about (1[89]|2[012])(\.\d)? MiB .*, 8 MiB \(8388608 bytes\) are free; free 1\d/,
    ],
  ])("is refused before the first byte: %s", async (_what, options, size, message) => {
    const { code, out, err } = await onTmpfs(
      size,
      `${line("--json", ...options)}; code=\\$?; ls -A ${mount} >&2; exit \\$code`,
    );
    expect(code).toBe(2);
    expect(JSON.parse(out).error).toMatchObject({
      code: "E_NO_SPACE",
      message: expect.stringMatching(message),
    });
    // The one line, and no file that ls would list.
    expect(err.trimEnd().split("\n")).toHaveLength(1);
  });

  it("holds a sparse dump of a source that is larger", async () => {
    const { code } = await onTmpfs(24 * MIB, `${line()} && cmp ${source} ${mount}/dump`);
    expect(code).toBe(0);
  });

  it("that fills up on the way: a warning, exit code 2, and --resume ends it", async () => {
    const { code, out, err } = await onTmpfs(
      19.5 * MIB,
      fillsUp(`mount -o remount,size=${24 * MIB} ${mount}`),
    );
    expect([code, out]).toEqual([0, "2 0 0\n"]);
    expect(err).toMatch(FILLED);
  });
});

describe.skipIf(!canExt4)(
  `a small ext4${canExt4 ? "" : " (skipped: mkfs.ext4 or loop mounts do not work here)"}`,
  () => {
    it.each([[""], ["--direct"]])("fills up on the way; %p", async (option) => {
      const image = path("image");
      // All but 19.5 MiB is taken.
      const fill = `fallocate -l \\$(( \\$(df -B1 --output=avail ${mount} | tail -1) - ${19.5 * MIB} )) ${mount}/filler`;
      const script = `mount -o loop ${image} ${mount}; ${fill}; ${fillsUp(`rm ${mount}/filler`, ...option.split(" ").filter(Boolean))}`;
      const { code, out, err } = await shell(
        `rm -f ${image}; truncate -s 64M ${image} && mkfs.ext4 -q -m 0 ${image} && unshare -m bash -c "${script}"`,
      );
      expect([code, out]).toEqual([0, "2 0 0\n"]);
      expect(err).toMatch(FILLED);
      expect(err).toContain("600\n600\n");
    });

    it("that is mounted read-only says so", async () => {
      const image = path("ro");
      const { code, err } = await shell(
        `truncate -s 8M ${image} && mkfs.ext4 -q ${image} && unshare -m bash -c "mount -o loop,ro ${image} ${mount} && ${line()}"`,
      );
      expect(code).toBe(2);
      expect(err).toMatch(
        /^vmcopy: copy: Cannot open .*dump\.incomplete: read-only file system \(EROFS\); mount .* writable/,
      );
    });
  },
);

describe("the sample of this test", () => {
  it("is what the figures above count on", () => {
    expect(statSync(source).size).toBeWithin(40 * MIB, 41 * MIB);
  });
});
