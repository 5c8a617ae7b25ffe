// What `npm run fit` measures: one way to have vmcopy in a capture kernel a row, and makedumpfile beside them. Each is a
// capture of a 1 GiB guest to an ext4 disk, `-d 31`.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { labKernel } from "../../kernel/build.ts";
import { compressFor } from "../../src/initramfs/compress.ts";
import { cpio } from "../../src/initramfs/cpio.ts";
import { cached, contentKey } from "./cache.ts";
import { baseEntries, moduleOrder, withLibraries } from "./initramfs.ts";
import { type Capture, type Crash, crashAndCapture } from "./lab.ts";
import { captureIn, type ImageOptions, layoutImage } from "./layouts.ts";
import { debianKernel, type Kernel } from "./packages.ts";

const memMiB = 1024;
/** A crash kernel that is nearly too small is slow before it fails. */
const TIMEOUT_SECONDS = 420;

/** What one capture took. Bytes and seconds; null where nobody looked. */
export interface Figures {
  readonly peakRss: number | null;
  readonly anonymous: number | null;
  readonly leastAvailable: number | null;
  /** from the panic to the dump that was read back; of makedumpfile to the one that was synced */
  readonly seconds: number;
}

/** Ready to be crashed. */
export interface Ready {
  /** bytes */
  readonly initramfs: number;
  readonly crash: Partial<Crash>;
  readonly read: (capture: Capture) => Figures;
}

export interface Row {
  /** for --only */
  readonly name: string;
  /** for people */
  readonly what: string;
  /** MiB of crashkernel= with which the search starts */
  readonly likely: number;
  readonly prepare: () => Promise<Ready>;
}

function vmcopy(options: ImageOptions, kernel: () => Promise<Kernel>, words = ""): Row["prepare"] {
  return async () => {
    const image = await layoutImage(await kernel(), options);
    const captureArguments = `${image.crash.captureArguments} ${words}`;
    return { initramfs: image.size, crash: { ...image.crash, captureArguments }, read: readCapture };
  };
}

export const ROWS: readonly Row[] = [
  {
    name: "plain",
    what: "/init is vmcopy, zstd, tmpfs",
    likely: 320,
    prepare: vmcopy({ layout: "plain", suffix: ".cpio.zst" }, debianKernel, "rootfstype=tmpfs"),
  },
  {
    name: "ramfs",
    what: "the same, ramfs",
    likely: 240,
    prepare: vmcopy({ layout: "plain", suffix: ".cpio.zst" }, debianKernel),
  },
  {
    name: "ramfs-xz",
    what: "the same, ramfs, xz",
    likely: 240,
    prepare: vmcopy({ layout: "plain", suffix: ".cpio.xz" }, debianKernel),
  },
  {
    name: "squashfs",
    what: "squashfs in the initramfs, xz, 1 MiB blocks",
    likely: 160,
    prepare: vmcopy({ layout: "squashfs" }, debianKernel),
  },
  {
    name: "squashfs-zstd",
    what: "the same, zstd, 128 KiB blocks",
    likely: 160,
    prepare: vmcopy({ layout: "squashfs", codec: "zstd", block: 128 }, debianKernel),
  },
  {
    name: "retained",
    what: "squashfs in the retained initrd, xz (Linux 6.12)",
    likely: 112,
    prepare: vmcopy({ layout: "retained" }, () => labKernel("6.12")),
  },
  {
    name: "disk",
    what: "squashfs on a disk, zstd, 128 KiB blocks",
    likely: 96,
    prepare: vmcopy({ layout: "disk", codec: "zstd", block: 128 }, debianKernel),
  },
  {
    name: "makedumpfile",
    what: "makedumpfile -c -d 31 and busybox, zstd",
    likely: 96,
    prepare: makedumpfile,
  },
];

/** One crash. @returns undefined, and says why, where no whole dump came of it */
export async function attempt(
  ready: Ready,
  crashMiB: number,
  say: (line: string) => void,
): Promise<Figures | undefined> {
  try {
    const capture = await crashAndCapture({
      ...ready.crash,
      memMiB,
      crashkernel: `${crashMiB}M`,
      timeoutSeconds: TIMEOUT_SECONDS,
    });
    try {
      return ready.read(capture);
    } finally {
      capture.dispose();
    }
  } catch (error) {
    say((error as Error).message);
    return undefined;
  }
}

/** @throws Error where the dump is not whole and verified */
function readCapture({ results, console, milestones }: Capture): Figures {
  const { state, verified, dump } = JSON.parse(
    readFileSync(join(captureIn(results), "capture.json"), "utf8"),
  );
  if (state !== "complete" || verified !== true || dump.dumpLevel !== 31) {
    throw new Error(`No verified -d 31 dump: ${state}, verified ${verified}`);
  }
  return {
    peakRss: dump.peakRssBytes,
    anonymous: dump.anonymousRssBytes,
    leastAvailable: dump.leastAvailableBytes,
    seconds: secondsAt(console, /verify: .* whole and right/) - (milestones.panic ?? Number.NaN),
  };
}

/** busybox's time says what it took. */
const MAKEDUMPFILE = `
time -v makedumpfile --message-level 16 -c -d 31 /proc/vmcore /out/dump 2> /out/time || exit 1
sync
`;

async function makedumpfile(): Promise<Ready> {
  const kernel = await debianKernel();
  const entries = [
    ...(await baseEntries(join(import.meta.dir, "init-capture.sh"), moduleOrder(kernel.modules))),
    ...(await withLibraries("makedumpfile", "bin/makedumpfile")),
    { path: "capture", data: new TextEncoder().encode(MAKEDUMPFILE) },
    { path: "bin/vmcopy", link: "/none" },
  ];
  const archive = cpio(entries);
  const path = await cached(
    "layouts",
    `makedumpfile-${contentKey([archive])}.cpio.zst`,
    async (unfinished) => {
      await Bun.write(unfinished, compressFor(unfinished, archive));
    },
  );
  return {
    initramfs: Bun.file(path).size,
    crash: { kernel, program: null, captureInitramfs: path },
    read: ({ results, milestones }) => {
      const report = readFileSync(join(results, "time"), "utf8");
      const peakRss = 1024 * Number(/Maximum resident set size \(kbytes\): (\d+)/.exec(report)?.[1]);
      if (readFileSync(join(results, "exit-code"), "utf8").trim() !== "0") throw new Error(report);
      const { panic = Number.NaN, done = Number.NaN } = milestones;
      return { peakRss, anonymous: null, leastAvailable: null, seconds: done - panic };
    },
  };
}

function secondsAt(console: readonly string[], line: RegExp): number {
  const found = console.find((text) => line.test(text)) ?? "";
  return Number(/^\[ *([\d.]+)\]/.exec(found)?.[1]);
}
