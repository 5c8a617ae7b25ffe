/** Notes: both paddings, odd names, zeros at the end, and sizes that do not fit. */
import { describe, expect, it } from "bun:test";
import { encodeElfHeaders, encodeNotes, type Note, PT_LOAD, PT_NOTE } from "../../src/dump/elf-headers.ts";
import { VmcopyError } from "../../src/errors.ts";
import { readElfHeaders } from "../../src/vmcore/elf.ts";
import { readNotes, readVmcoreinfoText } from "../../src/vmcore/notes.ts";
import { MemoryReader } from "../support/vmcores.ts";

const AT = 0x400;
const bytesOf = (text: string) => new TextEncoder().encode(text);

/** A file whose note segments hold these bytes, one after the other from AT on. */
function fileOf(segments: readonly Uint8Array[], align = 4, littleEndian = true) {
  let at = AT;
  const placed = segments.map((bytes) => {
    const offset = at;
    at += bytes.length;
    return { type: PT_NOTE, offset, fileSize: bytes.length, align };
  });
  const file = new Uint8Array(at + 64);
  const load = { type: PT_LOAD, offset: 0, fileSize: 1 };
  file.set(encodeElfHeaders({ class: 64, littleEndian, segments: [...placed, load] }));
  for (const [i, { offset }] of placed.entries()) file.set(segments[i] as Uint8Array, offset);
  return new MemoryReader(file);
}

function notesOf(segments: readonly Uint8Array[], align = 4, littleEndian = true): Note[] {
  const file = fileOf(segments, align, littleEndian);
  const notes = readNotes(file, readElfHeaders(file));
  return notes.map(({ name, type, offset, size }) => ({
    name,
    type,
    description: file.bytes.slice(offset, offset + size),
  }));
}

/** A note header and what follows it, as they are. */
function raw(nameSize: number, size: number, type: number, rest: Uint8Array | string = ""): Uint8Array {
  const tail = typeof rest === "string" ? bytesOf(rest) : rest;
  const bytes = new Uint8Array(12 + tail.length);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of [nameSize, size, type].entries()) view.setUint32(i * 4, value, true);
  bytes.set(tail, 12);
  return bytes;
}

const some: Note[] = [
  { name: "CORE", type: 1, description: new Uint8Array(336).fill(1) },
  { name: "VMCOREINFO", type: 0, description: bytesOf("OSRELEASE=x\n") },
  { name: "LINUX", type: 0x700, description: new Uint8Array(7).fill(2) },
  { name: "", type: 5, description: new Uint8Array(0) },
  { name: "Xen", type: 0x1000001, description: new Uint8Array(1).fill(3) },
  { name: "SEVENxx", type: 6, description: new Uint8Array(4).fill(4) },
  { name: "EIGHTxxx", type: 7, description: new Uint8Array(9).fill(5) },
];

describe.each([
  [4, true],
  [4, false],
  [8, true],
  [8, false],
] as const)("padded to %d, little-endian %p", (align, littleEndian) => {
  it("are read back as they were written", () => {
    expect(notesOf([encodeNotes(some, align, littleEndian)], align, littleEndian)).toEqual(some);
  });

  it("in several segments", () => {
    const one = encodeNotes(some.slice(0, 3), align, littleEndian);
    const two = encodeNotes(some.slice(3), align, littleEndian);
    expect(notesOf([one, new Uint8Array(0), two], align, littleEndian)).toEqual(some);
  });

  it("end where the zeros begin that fill up the page", () => {
    const padded = new Uint8Array(4096);
    padded.set(encodeNotes(some, align, littleEndian));
    expect(notesOf([padded], align, littleEndian)).toEqual(some);
  });
});

it.each([0, 1, 2, 3, 16, 4096])("a p_align of %d means 4", (align) => {
  expect(notesOf([encodeNotes(some, 4)], align)).toEqual(some);
});

describe("odd notes", () => {
  it("padded to 8: the descriptor is aligned, not its distance from the name", () => {
    // As in .note.gnu.property: "GNU\0" ends at 16, which is aligned already.
    const note = raw(4, 8, 5, "GNU\x00ABCDEFGH");
    expect(notesOf([note], 8)).toEqual([{ name: "GNU", type: 5, description: bytesOf("ABCDEFGH") }]);
  });

  it.each([
    ["a name without a NUL", raw(4, 4, 9, "NAMEdata"), "NAME", "data"],
    ["a name that goes on behind its NUL", raw(8, 4, 9, "NO\x00MORE\x00data"), "NO", "data"],
    ["no name", raw(0, 4, 9, "data"), "", "data"],
    ["no descriptor, its name not padded", raw(5, 0, 9, "CORE\x00"), "CORE", ""],
    ["a descriptor that is not padded at the end", raw(4, 5, 9, "ABC\x00xyzzy"), "ABC", "xyzzy"],
  ])("%s", (_, note, name, description) => {
    expect(notesOf([note])).toEqual([{ name, type: 9, description: bytesOf(description) }]);
  });

  it("a name longer than any is cut", () => {
    const [note] = notesOf([raw(1000, 4, 9, `${"n".repeat(1000)}data`)]);
    expect(note?.name).toBe("n".repeat(256));
    expect(note?.description).toEqual(bytesOf("data"));
  });

  it("a rest too short for a header is no note", () => {
    expect(notesOf([raw(4, 4, 9, "ABC\x00data"), new Uint8Array(11).fill(0xff)])).toHaveLength(1);
  });
});

describe("sizes that do not fit are refused, the field named", () => {
  it.each<[string, Uint8Array, string]>([
    ["n_namesz 2^32-1", raw(0xffff_ffff, 0, 1, "CORE"), "n_namesz 4294967295, more than the 4 bytes left"],
    ["n_namesz one too large", raw(5, 0, 1, "CORE"), "n_namesz 5, more than the 4 bytes left"],
    [
      "n_descsz 2^32-1",
      raw(4, 0xffff_ffff, 1, "ABC\x00data"),
      "n_descsz 4294967295, more than the 4 bytes left",
    ],
    ["n_descsz one too large", raw(4, 5, 1, "ABC\x00data"), "n_descsz 5, more than the 4 bytes left"],
    ["both 2^31", raw(2 ** 31, 2 ** 31, 1, "ABC\x00"), "n_namesz 2147483648"],
    [
      "a descriptor in the padding of the name",
      raw(5, 1, 1, "CORE\x00"),
      "n_descsz 1, more than the 0 bytes left",
    ],
  ])("%s", (_, note, words) => {
    const good = encodeNotes(some.slice(0, 1));
    const segment = new Uint8Array([...good, ...note]);
    expect(() => notesOf([segment])).toThrow(VmcopyError);
    expect(() => notesOf([segment])).toThrow(`the note at offset ${AT + good.length} has ${words}`);
  });

  it("more notes than any machine has", () => {
    const many = new Uint8Array(12 * 65_537);
    for (let at = 8; at < many.length; at += 12) many[at] = 1;
    expect(() => notesOf([many])).toThrow("more than 65536 others before it");
  });

  it("VMCOREINFO of more than 1 MiB, which is not read", () => {
    const file = fileOf([
      encodeNotes([{ name: "VMCOREINFO", type: 0, description: new Uint8Array(1 << 21) }]),
    ]);
    const notes = readNotes(file, readElfHeaders(file));
    expect(() => readVmcoreinfoText(file, notes)).toThrow("its n_descsz is 2097152, more than 1048576");
    expect(file.largest).toBeLessThan(4096);
  });
});

describe("VMCOREINFO", () => {
  it("is found by name, wherever it is", () => {
    const file = fileOf([encodeNotes(some)]);
    expect(readVmcoreinfoText(file, readNotes(file, readElfHeaders(file)))).toBe("OSRELEASE=x\n");
  });

  it("may not be there", () => {
    const file = fileOf([encodeNotes(some.slice(2))]);
    expect(readVmcoreinfoText(file, readNotes(file, readElfHeaders(file)))).toBeUndefined();
  });
});
