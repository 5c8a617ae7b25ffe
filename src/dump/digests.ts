/** XXH3-64 digests of a dump's chunks, in file order: 8 bytes of memory for each chunk. */

const HEX = 16;
/** Digests in one string of the manifest: a line then stands for 64 chunks. */
const PER_LINE = 64;

export class Digests {
  #values = new BigUint64Array(256);
  #length = 0;

  /** how many chunks there are */
  get length(): number {
    return this.#length;
  }

  push(digest: bigint): void {
    if (this.#length === this.#values.length) this.#grow();
    this.#values[this.#length++] = digest;
  }

  /** The digest of a chunk. @throws RangeError where there is none */
  at(index: number): bigint {
    const digest = index < this.#length ? this.#values[index] : undefined;
    if (digest === undefined) throw new RangeError(`Cannot give a digest: no chunk has the index ${index}`);
    return digest;
  }

  /**
   * As a JSON array of hexadecimal strings, up to 64 digests in each. Made as bytes: a dump of 1 TiB has 4 MiB of
   * digits, which as strings would take many times that of a crash kernel's memory.
   *
   * @param indent what each line begins with
   * @param head, tail bytes to leave empty before and behind it
   */
  toJson(indent: string, head = 0, tail = 0): Uint8Array<ArrayBuffer> {
    const lines = Math.ceil(this.#length / PER_LINE);
    const before = ascii(`\n${indent}  "`);
    const last = lines === 0 ? ascii("]") : ascii(`\n${indent}]`);
    // Each line: what is before it, its digits, a quotation mark, and a comma but for the last.
    const separators = lines === 0 ? 1 : lines * (before.length + 2);
    const bytes = new Uint8Array(head + separators + this.#length * HEX + last.length + tail);
    let at = head;
    const put = (text: Uint8Array) => {
      bytes.set(text, at);
      at += text.length;
    };
    const words = new Uint32Array(this.#values.buffer);
    put(ascii("["));
    for (let first = 0; first < this.#length; first += PER_LINE) {
      if (first > 0) put(ascii(","));
      put(before);
      const end = Math.min(first + PER_LINE, this.#length);
      for (let i = first; i < end; i++, at += HEX) {
        // Little-endian, as every machine this runs on: the low word is first.
        putHex(words[2 * i + 1] ?? 0, bytes, at);
        putHex(words[2 * i] ?? 0, bytes, at + HEX / 2);
      }
      put(ascii('"'));
    }
    put(last);
    return bytes;
  }

  /** From the strings of {@link Digests.toJson}. @returns undefined where one is no run of digests */
  static fromLines(lines: readonly string[]): Digests | undefined {
    const digests = new Digests();
    for (const line of lines) {
      if (line.length % HEX !== 0 || !/^[0-9a-f]*$/.test(line)) return undefined;
      for (let at = 0; at < line.length; at += HEX) {
        if (digests.#length === digests.#values.length) digests.#grow();
        const words = new Uint32Array(digests.#values.buffer, digests.#length * 8, 2);
        words[1] = Number.parseInt(line.slice(at, at + HEX / 2), 16);
        words[0] = Number.parseInt(line.slice(at + HEX / 2, at + HEX), 16);
        digests.#length++;
      }
    }
    return digests;
  }

  #grow(): void {
    const larger = new BigUint64Array(this.#values.length * 2);
    larger.set(this.#values);
    this.#values = larger;
  }
}

/** A digest as 16 hexadecimal digits. */
export function hexDigest(digest: bigint): string {
  return digest.toString(16).padStart(HEX, "0");
}

const DIGITS = ascii("0123456789abcdef");

function putHex(word: number, bytes: Uint8Array, at: number): void {
  for (let i = 0; i < HEX / 2; i++) bytes[at + i] = DIGITS[(word >>> (28 - 4 * i)) & 15] as number;
}

function ascii(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}
