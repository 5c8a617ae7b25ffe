/**
 * The program of `npm run initramfs`: an initramfs with dist/vmcopy in it, complete or to be appended to another one.
 * `-- --help` has its options; layouts.ts says what the layouts are.
 */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, InvalidArgumentError, Option } from "commander";
import { compressFor, isCompressed } from "./compress.ts";
import { cpio, type Entry } from "./cpio.ts";
import {
  type Contents,
  LAYOUTS,
  type Layout,
  type LoaderOptions,
  onDisk,
  overlay,
  plain,
  withRetained,
  withSquashfs,
} from "./layouts.ts";
import { modulesInOrder } from "./modules.ts";
import { BLOCK_SIZES, CODECS, type Codec, squashfs } from "./squashfs.ts";

const PROGRAM = fileURLToPath(new URL("../../dist/vmcopy", import.meta.url));

export interface InitramfsOptions {
  readonly to: string;
  readonly layout: Layout;
  readonly overlay: boolean;
  readonly link: readonly string[];
  readonly modules?: string;
  readonly kernelRelease?: string;
  readonly drivers: readonly string[];
  readonly settings?: string;
  readonly codec: Codec;
  readonly block: number;
  readonly image?: string;
  readonly device?: string;
  readonly fileSystem: string;
  readonly wait: number;
  readonly env: readonly string[];
  readonly program: string;
}

/** Drivers of the disks and file systems of virtual machines; those that the kernel has built in are no modules. */
const DEFAULT_DRIVERS = ["virtio_pci", "virtio_blk", "crc32c_generic", "ext4"];
/** What the loader needs to mount a file. */
const LOOP = ["loop", "squashfs"];

/** Writes an initramfs, and for the disk the image that goes there. @returns what was written, with its size */
export function buildInitramfs(options: InitramfsOptions): { path: string; size: number }[] {
  const entries = entriesOf(options);
  const written = [write(options.to, compressFor(options.to, cpio(entries.initramfs)))];
  if (options.image !== undefined && entries.image !== undefined)
    written.push(write(options.image, entries.image));
  return written;
}

function entriesOf(options: InitramfsOptions): { initramfs: Entry[]; image?: Uint8Array } {
  const { layout, program } = options;
  if (!existsSync(program))
    throw new Error(`Cannot build an initramfs: there is no ${program}; npm run build makes it`);
  if (options.overlay) return { initramfs: overlay(readFileSync(program), options.link) };
  if (layout === "retained" && isCompressed(options.to)) {
    throw new Error(
      `Cannot build an initramfs: a retained one is read as it is and may not be compressed (${options.to})`,
    );
  }
  const { contents, loader } = contentsOf(options);
  if (layout === "plain") return { initramfs: plain(readFileSync(program), contents) };
  const image = () => squashfs(program, options.codec, options.block);
  if (layout === "squashfs") return { initramfs: withSquashfs(image(), contents, loader) };
  if (layout === "retained") return { initramfs: withRetained(image(), contents, loader) };
  if (options.device === undefined)
    throw new Error("Cannot build an initramfs: --layout disk needs --device");
  return {
    initramfs: onDisk(options.device, options.wait, contents, loader),
    ...(options.image === undefined ? {} : { image: image() }),
  };
}

function contentsOf(options: InitramfsOptions): { contents: Contents; loader: LoaderOptions } {
  const { layout, fileSystem, env } = options;
  const directory =
    options.modules ??
    (options.kernelRelease === undefined ? undefined : `/lib/modules/${options.kernelRelease}`);
  if (directory !== undefined && !existsSync(directory)) {
    throw new Error(`Cannot build an initramfs: there are no modules (${directory})`);
  }
  const needed = { plain: [], squashfs: LOOP, retained: LOOP, disk: [fileSystem] }[layout];
  const names = [...needed, ...options.drivers];
  return {
    contents: {
      modules: directory === undefined ? [] : modulesInOrder(directory, names),
      settings: options.settings === undefined ? undefined : readFileSync(options.settings),
    },
    loader: { fileSystem, environment: env },
  };
}

/** Whole or not at all. */
function write(path: string, bytes: Uint8Array): { path: string; size: number } {
  const unfinished = `${path}.${process.pid}`;
  try {
    writeFileSync(unfinished, bytes, { mode: 0o600 });
    renameSync(unfinished, path);
  } catch (error) {
    throw new Error(`Cannot write ${path}: ${(error as Error).message.replace(/, \w+ '.*$/, "")}`);
  } finally {
    rmSync(unfinished, { force: true });
  }
  return { path, size: bytes.length };
}

function commandLine(): Command {
  return new Command("npm run initramfs --")
    .description(
      "Builds an initramfs with dist/vmcopy in it. Complete ones start it as PID 1, with nothing else in user space.",
    )
    .requiredOption("--to <file>", "where it goes; .zst, .xz and .gz are compressed, other names are not")
    .option("--overlay", "only /usr/bin/vmcopy, to be appended to another initramfs", false)
    .option(
      "--link <path>",
      "of an overlay: a link to it, such as /usr/bin/makedumpfile (repeatable)",
      collect,
      [],
    )
    .addOption(new Option("--layout <name>", "where the program lies").choices(LAYOUTS).default("plain"))
    .option("--modules <directory>", "searched, with all below it, for the drivers' modules")
    .option("--kernel-release <release>", "the same for /lib/modules/<release>")
    .option(
      "--drivers <names>",
      "modules, with commas; those that are not there are taken to be built in",
      list,
      DEFAULT_DRIVERS,
    )
    .option("--settings <file>", "goes to /etc/vmcopy.toml")
    .addOption(new Option("--codec <name>", "of the squashfs").choices(CODECS).default("xz"))
    .addOption(new Option("--block <KiB>", "of the squashfs").argParser(blockSize).default(1024))
    .option("--device <path>", "of --layout disk: the block device, such as /dev/vda2")
    .option("--file-system <type>", "of it; the program is /vmcopy there", "squashfs")
    .option("--image <file>", "of --layout disk: writes the squashfs that goes there")
    .option("--wait <seconds>", "for that device to appear", seconds, 30)
    .option("--env <name=value>", "a variable for the program (repeatable)", collect, [])
    .addOption(new Option("--program <file>", "what is put in").default(PROGRAM, "dist/vmcopy"))
    .showHelpAfterError("(--help lists the options)");
}

function list(text: string): string[] {
  return text.split(",").filter(Boolean);
}

function collect(text: string, before: readonly string[]): string[] {
  return [...before, text];
}

function seconds(text: string): number {
  if (!/^\d{1,4}$/.test(text)) throw new InvalidArgumentError("a whole number of seconds is expected");
  return Number(text);
}

function blockSize(text: string): number {
  const size = BLOCK_SIZES.find((one) => String(one) === text);
  if (size === undefined) throw new InvalidArgumentError(`one of ${BLOCK_SIZES.join(", ")} is expected`);
  return size;
}

if (import.meta.main) {
  try {
    for (const { path, size } of buildInitramfs(commandLine().parse().opts())) {
      console.log(`${relative(process.cwd(), join(path))}: ${(size / 1e6).toFixed(1)} MB`);
    }
  } catch (error) {
    console.error(process.env.VMCOPY_DEBUG === "1" ? error : (error as Error).message);
    process.exitCode = 2;
  }
}
