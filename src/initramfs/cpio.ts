/**
 * Writes a cpio archive in the "newc" format, the one the kernel unpacks as its initramfs
 * (Documentation/driver-api/early-userspace/buffer-format.rst): for each entry a header of ASCII hex fields, the
 * name, the data, each padded to 4 bytes; last an entry named TRAILER!!!.
 */

/**
 * One entry: a file's data with its permission bits, a directory, a symbolic link, or data that the kernel passes over
 * and that starts so many bytes from the archive's start.
 */
export type Entry =
  | { path: string; data: Uint8Array; mode?: number }
  | { path: string; directory: true }
  | { path: string; link: string }
  | { path: string; skipped: Uint8Array; at: number };

const typeDirectory = 0o040000;
const typeFile = 0o100000;
const typeLink = 0o120000;
/** What is no regular file and has data is not even made (do_header() in init/initramfs.c). */
const typeSocket = 0o140000;
const headerSize = 110;
const trailer = "TRAILER!!!";
const encoder = new TextEncoder();

/**
 * The archive of `entries`, in their order; the directories above each entry are added where not given.
 * Owner and group are root, times are 0: equal entries make equal archives.
 */
export function cpio(entries: Iterable<Entry>): Uint8Array {
  const pieces: Uint8Array[] = [];
  const made = new Set<string>();
  let inode = 0;
  let length = 0;

  const add = (path: string, mode: number, data: Uint8Array, at?: number) => {
    // A name may have more than one NUL at its end: data is put in its place by that.
    const filled = at === undefined ? `${path}\0` : path.padEnd(at - length - headerSize, "\0");
    const name = encoder.encode(filled);
    if (at !== undefined && (name.length <= path.length || at % 4 !== 0)) {
      throw new RangeError(`Cannot write a cpio archive: the data of ${path} cannot start at ${at}`);
    }
    const fields = [++inode, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, name.length, 0];
    const header = `070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`;
    const added = [
      encoder.encode(header),
      name,
      padding(header.length + name.length),
      data,
      padding(data.length),
    ];
    pieces.push(...added);
    length += added.reduce((sum, piece) => sum + piece.length, 0);
  };
  const addDirectory = (path: string) => {
    if (path === "" || made.has(path)) return;
    addDirectory(path.split("/").slice(0, -1).join("/"));
    made.add(path);
    add(path, typeDirectory | 0o755, new Uint8Array());
  };

  for (const entry of entries) {
    const path = entry.path.replace(/^\/+|\/+$/g, "");
    if ("directory" in entry) {
      addDirectory(path);
      continue;
    }
    if ("skipped" in entry) {
      add(path, typeSocket | 0o600, entry.skipped, entry.at);
      continue;
    }
    addDirectory(path.split("/").slice(0, -1).join("/"));
    if ("link" in entry) add(path, typeLink | 0o777, encoder.encode(entry.link));
    else add(path, typeFile | (entry.mode ?? 0o644), entry.data);
  }
  add(trailer, 0, new Uint8Array());
  return new Uint8Array(Buffer.concat(pieces));
}

function padding(length: number): Uint8Array {
  return new Uint8Array(-length & 3);
}
