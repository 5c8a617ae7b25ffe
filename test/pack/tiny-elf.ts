/** ELF64 files small enough to write out here, with all that the linker looks at and nothing that could run. */

const PAGE = 0x1000;
const ROOM = 8;

export interface TinyElf {
  type?: number;
  machine?: number;
  address?: number;
  interpreter?: string;
  needed?: string[];
  soname?: string;
  /** Adds a writable segment with a bss, as a dynamic loader has. */
  writable?: boolean;
}

/** Where things lie in a tiny file, for tests that look at or break them. */
export interface TinyLayout {
  bytes: Uint8Array;
  strings: number;
  dynamic: number;
  versionNeeds: number;
}

/** Writes the file. One segment maps all of it, the string table at offset 512, then dynamic and versions. */
export function tinyElf(options: TinyElf = {}): TinyLayout {
  const { type = 2, machine = 62, address = 0x400000, needed = [] } = options;
  const strings = 64 + ROOM * 56;
  let text = "\0";
  const name = (value: string) => {
    const at = text.length;
    text += `${value}\0`;
    return at;
  };
  const neededAt = needed.map(name);
  const soname = options.soname === undefined ? undefined : name(options.soname);
  const interpreter = options.interpreter === undefined ? undefined : name(options.interpreter);

  const dynamic = Math.ceil((strings + text.length) / 16) * 16;
  const entries: [tag: number, value: number][] = neededAt.map((at) => [1, at]);
  if (soname !== undefined) entries.push([14, soname]);
  entries.push([5, address + strings]);
  const versionNeeds = dynamic + (entries.length + 3) * 16;
  if (needed.length > 0) entries.push([0x6ffffffe, address + versionNeeds], [0x6fffffff, needed.length]);
  entries.push([0, 0]);
  const size = versionNeeds + needed.length * 16;

  const bytes = new Uint8Array(options.writable ? PAGE + 256 : size);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, type, true);
  view.setUint16(18, machine, true);
  view.setBigUint64(24, BigInt(address + 0x40), true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(52, 64, true);
  view.setUint16(54, 56, true);
  bytes.set(new TextEncoder().encode(text), strings);
  entries.forEach(([tag, value], i) => {
    view.setBigInt64(dynamic + i * 16, BigInt(tag), true);
    view.setBigUint64(dynamic + i * 16 + 8, BigInt(value), true);
  });
  neededAt.forEach((at, i) => {
    view.setUint16(versionNeeds + i * 16, 1, true);
    view.setUint32(versionNeeds + i * 16 + 4, at, true);
    view.setUint32(versionNeeds + i * 16 + 12, i + 1 < needed.length ? 16 : 0, true);
  });

  const headers: number[][] = [[1, 5, 0, address, size, size]];
  if (options.writable) headers.push([1, 6, PAGE, address + PAGE, 256, 1024]);
  headers.push([2, 4, dynamic, address + dynamic, entries.length * 16, entries.length * 16]);
  if (interpreter !== undefined) {
    const length = (options.interpreter ?? "").length + 1;
    headers.push([3, 4, strings + interpreter, address + strings + interpreter, length, length]);
  }
  headers.forEach(([kind = 0, flags = 0, offset = 0, at = 0, fileSize = 0, memorySize = 0], i) => {
    const header = 64 + i * 56;
    view.setUint32(header, kind, true);
    view.setUint32(header + 4, flags, true);
    [offset, at, at, fileSize, memorySize, PAGE].forEach((word, j) => {
      view.setBigUint64(header + 8 + j * 8, BigInt(word), true);
    });
  });
  view.setUint16(56, headers.length, true);
  return { bytes, strings, dynamic, versionNeeds };
}
