/**
 * VMCOREINFO: what the crashed kernel says of itself, as `KEY=VALUE` lines.
 *
 * Number bases as the kernel prints them (include/linux/vmcore_info.h): SYMBOL and KERNELOFFSET are hexadecimal
 * without 0x; SIZE, OFFSET, LENGTH and NUMBER are decimal, some NUMBERs 0x...; NUMBERs are signed.
 */

export class Vmcoreinfo {
  /** keys and values as they stand, in their order */
  readonly entries: ReadonlyMap<string, string>;

  constructor(text: string) {
    const entries = new Map<string, string>();
    for (const line of text.split("\n")) {
      const equals = line.indexOf("=");
      if (equals > 0) entries.set(line.slice(0, equals), line.slice(equals + 1).replace(/\0+$/, ""));
    }
    this.entries = entries;
  }

  /** Kernel release, as `uname -r` printed it. */
  get release(): string | undefined {
    return this.entries.get("OSRELEASE");
  }

  /** When it crashed, in seconds since 1970; absent where the panic path did not run. */
  get crashTime(): number | undefined {
    const value = this.#decimalOrHex("CRASHTIME");
    return value === undefined ? undefined : Number(value);
  }

  /** Page size of the crashed kernel in bytes, where it is a power of two from 4 KiB to 64 KiB. */
  get pageSize(): number | undefined {
    const value = Number(this.#decimalOrHex("PAGESIZE") ?? 0n);
    return [4096, 8192, 16384, 32768, 65536].includes(value) ? value : undefined;
  }

  /** Virtual address of a symbol, already relocated. */
  symbol(name: string): bigint | undefined {
    return hexadecimal(this.entries.get(`SYMBOL(${name})`));
  }

  /** How far KASLR moved the kernel, in bytes. */
  get kernelOffset(): bigint | undefined {
    return hexadecimal(this.entries.get("KERNELOFFSET"));
  }

  /** Size of a structure in bytes. */
  size(type: string): number | undefined {
    return this.#small(`SIZE(${type})`);
  }

  /** Offset of a member in bytes, for example `page.flags`. */
  offset(member: string): number | undefined {
    return this.#small(`OFFSET(${member})`);
  }

  /** Number of elements of an array. */
  length(array: string): number | undefined {
    return this.#small(`LENGTH(${array})`);
  }

  /** A constant, signed 64 bits wide. */
  number(name: string): bigint | undefined {
    const value = this.#decimalOrHex(`NUMBER(${name})`);
    return value === undefined ? undefined : BigInt.asIntN(64, value);
  }

  #decimalOrHex(key: string): bigint | undefined {
    const value = this.entries.get(key)?.trim();
    if (value === undefined) return undefined;
    if (/^-?\d+$/.test(value)) return BigInt(value);
    return hexadecimal(value);
  }

  #small(key: string): number | undefined {
    const value = this.#decimalOrHex(key);
    return value === undefined || value < 0n || value > 0xffff_ffffn ? undefined : Number(value);
  }
}

function hexadecimal(value: string | undefined): bigint | undefined {
  const digits = value?.trim().replace(/^0x/i, "");
  return digits !== undefined && /^[0-9a-f]{1,16}$/i.test(digits) ? BigInt(`0x${digits}`) : undefined;
}
