/**
 * The manifest, `<dump>.manifest.json`: what is needed to prove a dump whole, on any machine, without its source.
 *
 * It is JSON whose last member, `manifestXxh3`, is the XXH3-64 of all bytes before that member, so that damage
 * to the manifest itself is found. While a copy runs, `<dest>.incomplete.manifest.json` says with
 * `"complete": false` how far the dump has come; `copy --resume` goes on from it.
 */
import { VmcopyError } from "../errors.ts";
import { xxh3 } from "../kernels/xxh3.ts";
import { Digests, hexDigest } from "./digests.ts";

export const MANIFEST_VERSION = 1;
/** Chunks are read in one piece; a manifest may not ask for more memory, in bytes. */
export const LARGEST_CHUNK = 64 << 20;

/** A range of the dump that could not be read from the source, and is zeros. */
export interface UnreadableRange {
  /** bytes from the dump's start */
  readonly offset: number;
  /** bytes */
  readonly length: number;
  /** null in headers and notes, and where p_paddr is unknown */
  readonly physicalAddress: number | null;
}

/** A PT_LOAD of the source: where it lies in the file and in physical memory. */
export interface ManifestSegment {
  readonly offset: number;
  readonly fileSize: number;
  /** hexadecimal with 0x, or null where p_paddr is unknown */
  readonly physicalAddress: string | null;
  /** hexadecimal with 0x */
  readonly virtualAddress: string;
}

export interface ManifestSource {
  readonly path: string;
  /** bytes */
  readonly size: number;
  readonly kernelRelease: string | null;
  /** seconds since 1970 */
  readonly crashTime: number | null;
  /** XXH3-64 of the headers and notes: tells one crash from another */
  readonly identity: string;
  readonly segments: readonly ManifestSegment[];
}

export interface Manifest {
  /** false while the copy is not done: the digests then cover the dump's beginning */
  readonly complete: boolean;
  /** the program that wrote it */
  readonly tool: { readonly name: string; readonly version: string };
  readonly source: ManifestSource;
  readonly dump: {
    readonly format: string;
    readonly dumpLevel: number;
    readonly compression: string;
    /** bytes; of an incomplete dump, what it will have */
    readonly size: number;
  };
  /** bytes of a chunk; the last one may be shorter */
  readonly chunkSize: number;
  readonly digests: Digests;
  /** of the whole dump, hexadecimal; null unless asked for */
  readonly sha256: string | null;
  readonly unreadable: readonly UnreadableRange[];
}

/** Where the manifest of a dump lies. */
export function manifestPath(dump: string): string {
  return `${dump}.manifest.json`;
}

const SEAL = /,\n {2}"manifestXxh3": "([0-9a-f]{16})"\n\}\n$/;

const NO_DIGESTS = '"digests": []';

function sealOf(digest: bigint): string {
  return `,\n  "manifestXxh3": "${hexDigest(digest)}"\n}\n`;
}

/** The manifest as the bytes of its file. */
export function encodeManifest(manifest: Manifest): Uint8Array {
  const { complete, tool, source, dump, chunkSize, digests, sha256, unreadable } = manifest;
  const text = JSON.stringify(
    {
      format: "vmcopy-manifest",
      version: MANIFEST_VERSION,
      complete,
      tool,
      source,
      dump,
      chunks: { algorithm: "xxh3-64", size: chunkSize, digests: [] },
      sha256,
      unreadable,
    },
    null,
    2,
  );
  // The digests are put in as bytes. In no string can the empty list's text stand: its quotes would be escaped.
  const place = text.indexOf(NO_DIGESTS) + NO_DIGESTS.length - 2;
  const encoder = new TextEncoder();
  const head = encoder.encode(text.slice(0, place));
  const tail = encoder.encode(text.slice(place + 2, text.lastIndexOf("\n}")));
  const sealLength = sealOf(0n).length;
  const bytes = digests.toJson("    ", head.length, tail.length + sealLength);
  const length = bytes.length - sealLength;
  bytes.set(head);
  bytes.set(tail, length - tail.length);
  bytes.set(encoder.encode(sealOf(xxh3(bytes.subarray(0, length)))), length);
  return bytes;
}

/**
 * Reads a manifest and checks it against its own digest.
 *
 * @param path what to call it in an error
 * @throws VmcopyError E_MANIFEST, exit code 1, where it is damaged or not a manifest
 */
export function decodeManifest(bytes: Uint8Array, path: string): Manifest {
  const refuse = (reason: string): never => {
    throw new VmcopyError("E_MANIFEST", `Cannot trust the manifest ${path}: ${reason}`, 1);
  };
  // latin1 keeps one character a byte, so that the seal's place in the text is its place in the bytes.
  const tail = new TextDecoder("latin1").decode(bytes.subarray(Math.max(0, bytes.length - 64)));
  const seal = SEAL.exec(tail);
  if (seal === null) return refuse("it does not end as one does; it is damaged or cut off");
  const body = bytes.subarray(0, bytes.length - seal[0].length);
  if (hexDigest(xxh3(body)) !== seal[1]) refuse("its own digest does not match; it is damaged or was edited");
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    refuse(`it is not JSON (${(error as Error).message})`);
  }
  const root = fieldsOf(json);
  const version = root.version;
  if (root.format !== "vmcopy-manifest") refuse("it is no vmcopy manifest");
  if (version !== MANIFEST_VERSION)
    refuse(`its version is ${version}, this vmcopy reads ${MANIFEST_VERSION}`);
  const dump = fieldsOf(root.dump);
  const chunks = fieldsOf(root.chunks);
  const source = fieldsOf(root.source);
  const tool = fieldsOf(root.tool);
  const lines = chunks.digests;
  const digests =
    Array.isArray(lines) && lines.every((line) => typeof line === "string")
      ? Digests.fromLines(lines)
      : undefined;
  if (digests === undefined) return refuse("its digests cannot be read");
  const size = wholeNumber(dump.size);
  const chunkSize = wholeNumber(chunks.size);
  if (size === undefined) return refuse(`the dump's size is ${String(dump.size)}`);
  if (chunkSize === undefined || chunkSize === 0) return refuse(`the chunks' size is ${String(chunks.size)}`);
  if (chunks.algorithm !== "xxh3-64") refuse(`its digests are ${String(chunks.algorithm)}, not xxh3-64`);
  const expected = Math.ceil(size / chunkSize);
  if (root.complete === true ? digests.length !== expected : digests.length > expected) {
    refuse(`it has ${digests.length} digests for ${expected} chunks`);
  }
  const segments = listOf(source.segments, isSegment) ?? refuse("its list of segments cannot be read");
  const unreadable =
    listOf(root.unreadable, isRange) ?? refuse("its list of unreadable ranges cannot be read");
  return {
    complete: root.complete === true,
    tool: { name: String(tool.name), version: String(tool.version) },
    source: {
      path: String(source.path),
      size: wholeNumber(source.size) ?? size,
      kernelRelease: typeof source.kernelRelease === "string" ? source.kernelRelease : null,
      crashTime: typeof source.crashTime === "number" ? source.crashTime : null,
      identity: String(source.identity),
      segments,
    },
    dump: {
      format: String(dump.format),
      dumpLevel: wholeNumber(dump.dumpLevel) ?? 0,
      compression: String(dump.compression),
      size,
    },
    chunkSize,
    digests,
    sha256: typeof root.sha256 === "string" ? root.sha256 : null,
    unreadable,
  };
}

function listOf<Item>(value: unknown, isItem: (item: unknown) => item is Item): Item[] | undefined {
  return Array.isArray(value) && value.every(isItem) ? value : undefined;
}

function isSegment(value: unknown): value is ManifestSegment {
  const { offset, fileSize, physicalAddress, virtualAddress } = fieldsOf(value);
  const isHex = (text: unknown) => typeof text === "string" && /^0x[0-9a-f]{1,16}$/.test(text);
  return (
    wholeNumber(offset) !== undefined &&
    wholeNumber(fileSize) !== undefined &&
    (physicalAddress === null || isHex(physicalAddress)) &&
    isHex(virtualAddress)
  );
}

function isRange(value: unknown): value is UnreadableRange {
  const { offset, length, physicalAddress } = fieldsOf(value);
  return (
    wholeNumber(offset) !== undefined &&
    wholeNumber(length) !== undefined &&
    (physicalAddress === null || wholeNumber(physicalAddress) !== undefined)
  );
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function wholeNumber(value: unknown): number | undefined {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : undefined;
}
