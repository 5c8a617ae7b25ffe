/** XXH3-64 digests of a dump's chunks, in file order: 8 bytes of memory for each 4 MiB of dump. */

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
    if (this.#length === this.#values.length) {
      const larger: BigUint64Array<ArrayBuffer> = new BigUint64Array(this.#length * 2);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.#length++] = digest;
  }

  /** The digest of a chunk. @throws RangeError where there is none */
  at(index: number): bigint {
    const digest = index < this.#length ? this.#values[index] : undefined;
    if (digest === undefined) throw new RangeError(`Cannot give a digest: no chunk has the index ${index}`);
    return digest;
  }

  /** Forgets all chunks from this one on. */
  truncate(length: number): void {
    this.#length = Math.min(this.#length, length);
  }

  /** As hexadecimal strings of up to 64 digests each. */
  toLines(): string[] {
    const lines: string[] = [];
    for (let first = 0; first < this.#length; first += PER_LINE) {
      let line = "";
      const end = Math.min(first + PER_LINE, this.#length);
      for (let i = first; i < end; i++) line += hexDigest(this.at(i));
      lines.push(line);
    }
    return lines;
  }

  /** The inverse of {@link Digests.toLines}. @returns undefined where a line is no run of digests */
  static fromLines(lines: readonly string[]): Digests | undefined {
    const digests = new Digests();
    for (const line of lines) {
      if (line.length % HEX !== 0 || !/^[0-9a-f]*$/.test(line)) return undefined;
      for (let at = 0; at < line.length; at += HEX) digests.push(BigInt(`0x${line.slice(at, at + HEX)}`));
    }
    return digests;
  }
}

/** A digest as 16 hexadecimal digits. */
export function hexDigest(digest: bigint): string {
  return digest.toString(16).padStart(HEX, "0");
}
