/**
 * What stands in a page of each kind. Every page is made from the seed and its PFN alone, and no two are alike:
 * they compress about as pages of a running machine do, and a page in the wrong place is noticed.
 *
 * The last 8 bytes of a binary, random or code page are its PFN; a text page begins with it.
 */
import { BINARY, CODE, RANDOM, TEXT } from "./kinds.ts";
import { type Machine, PAGE } from "./plan.ts";
import { Random } from "./random.ts";
import { packWords, WORDS } from "./words.ts";

const WORDS_IN_PAGE = PAGE / 4;
/** Instructions of x86_64 as compilers make them; zeros at the end of a row stand for an operand. */
// biome-ignore format: a table
const INSTRUCTIONS = [
  [0x55], [0x48, 0x89, 0xe5], [0x48, 0x8b, 0x47, 0], [0x48, 0x85, 0xc0], [0x74, 0], [0x75, 0], [0xe8, 0, 0, 0, 0],
  [0x41, 0x57], [0x41, 0x56], [0x48, 0x83, 0xec, 0], [0x48, 0x83, 0xc4, 0], [0x5d, 0xc3], [0x31, 0xc0],
  [0x0f, 0x1f, 0x44, 0x00, 0x00], [0x48, 0x8d, 0x7b, 0], [0x48, 0xc7, 0xc0, 0, 0, 0, 0], [0x89, 0xd8],
  [0x65, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0], [0xe9, 0, 0, 0, 0], [0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00],
];

/** Makes the contents of pages. One instance serves any order of pages; it keeps only scratch memory. */
export class PageContents {
  readonly #machine: Machine;
  readonly #words = new Uint32Array(WORDS_IN_PAGE);
  readonly #bytes = new Uint8Array(this.#words.buffer);
  readonly #dictionary = packWords(WORDS);

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /**
   * Fills one page.
   *
   * @param kind an index into PAGE_KINDS; zero and kernel pages are left alone
   * @param out PAGE bytes
   */
  fill(kind: number, pfn: number, out: Uint8Array): void {
    const random = new Random(this.#machine.seed, pfn, 5);
    if (kind === TEXT) this.#text(random, pfn);
    else if (kind === RANDOM) random.fill(this.#words);
    else if (kind === BINARY) this.#binary(random);
    else if (kind === CODE) this.#code(random);
    else return;
    if (kind !== TEXT) {
      this.#words[WORDS_IN_PAGE - 2] = pfn;
      this.#words[WORDS_IN_PAGE - 1] = Math.floor(pfn / 2 ** 32);
    }
    out.set(this.#bytes);
  }

  #text(random: Random, pfn: number): void {
    const bytes = this.#bytes;
    const { starts, packed } = this.#dictionary;
    let at = 0;
    const digits = (value: number) => {
      for (const digit of String(value)) bytes[at++] = digit.charCodeAt(0);
    };
    const style = random.below(3); // prose, log, settings
    digits(pfn);
    bytes[at++] = 0x0a;
    let inLine = 0;
    while (at < PAGE - 40) {
      if (inLine === 0 && style === 1) {
        bytes[at++] = 0x5b; // [
        digits(random.below(100_000));
        bytes[at++] = 0x2e; // .
        digits(random.below(1_000_000));
        bytes[at++] = 0x5d; // ]
        bytes[at++] = 0x20;
      }
      const word = random.skewed(starts.length - 1);
      const end = starts[word + 1] as number;
      for (let from = starts[word] as number; from < end; from++) bytes[at++] = packed[from] as number;
      inLine++;
      if (inLine > 3 + random.below(12)) {
        bytes[at++] = 0x0a;
        inLine = 0;
      } else if (style === 2 && inLine === 1) {
        bytes[at++] = 0x3d; // =
      } else if (random.below(16) === 0) {
        bytes[at++] = 0x20;
        digits(random.below(4096));
        bytes[at++] = 0x20;
      } else {
        bytes[at++] = 0x20;
      }
    }
    bytes.fill(0x0a, at);
  }

  /** An array of structures: the same kind of field at the same offset of each, its value different. */
  #binary(random: Random): void {
    const words = this.#words;
    const size = 8 << random.below(6); // in words of 4 bytes: 32 to 1024 bytes
    const layout = new Random(this.#machine.seed, random.below(64), 6); // 64 types of structure in the machine
    const fields = Array.from({ length: size / 2 }, () => layout.below(100));
    const type = layout.next();
    const directHigh = Number(this.#machine.directMap >> 32n);
    const directLow = Number(this.#machine.directMap & 0xffffffffn);
    const textLow = Number(this.#machine.kernel.virtualAddress & 0xffffffffn);
    const imageBytes = this.#machine.kernel.pages * PAGE;
    const memory = Math.min(2 ** 20, this.#machine.endPfn);
    for (let object = 0; object < WORDS_IN_PAGE; object += size) {
      const free = random.below(8) === 0; // a free object is its free list pointer and stale zeros
      for (let field = 0; field < size / 2; field++) {
        const at = object + 2 * field;
        const sort = free && field > 0 ? 0 : (fields[field] as number);
        let low = 0;
        let high = 0;
        if (sort < 38) {
          // zero
        } else if (sort < 58) {
          low = random.skewed(1024);
        } else if (sort < 78) {
          const physical = random.below(memory) * PAGE + (random.below(64) << 6) + directLow;
          low = physical | 0;
          high = directHigh + Math.floor(physical / 2 ** 32);
        } else if (sort < 85) {
          low = textLow + ((random.below(64) * Math.floor(imageBytes / 64)) | 0);
          high = 0xffffffff;
        } else if (sort < 92) {
          low = type;
          high = random.below(4);
        } else {
          low = random.next();
          high = sort < 96 ? random.next() : 0;
        }
        words[at] = low;
        words[at + 1] = high;
      }
    }
  }

  #code(random: Random): void {
    const bytes = this.#bytes;
    let at = 0;
    while (at < PAGE - 16) {
      const instruction = INSTRUCTIONS[random.skewed(INSTRUCTIONS.length)] as number[];
      let operand = instruction[1] !== 0x1f; // a long nop's zeros are its own
      for (const byte of instruction) {
        if (byte === 0 && operand) {
          bytes[at++] = random.skewed(256);
          operand = random.below(2) === 0;
        } else {
          bytes[at++] = byte;
        }
      }
    }
    bytes.fill(0xcc, at); // int3, as between functions
  }
}
