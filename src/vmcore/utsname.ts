/** The crashed kernel's names, from its init_uts_ns (include/uapi/linux/utsname.h, struct new_utsname). */
import type { AddressSpace } from "./address-space.ts";

const FIELD = 65;
const FIELDS = ["sysname", "nodename", "release", "version", "machine", "domainname"] as const;
export const UTSNAME_SIZE = FIELD * FIELDS.length;

export type Utsname = Readonly<Record<(typeof FIELDS)[number], string>>;

/**
 * The structure's bytes, {@link UTSNAME_SIZE} of them. Before Linux 5.11 VMCOREINFO does not say where in struct
 * uts_namespace it is: behind a reference count of 4 bytes.
 *
 * @returns undefined where it cannot be read, or is none
 */
export function readUtsnameBytes(space: AddressSpace): Uint8Array | undefined {
  const { info } = space.memory;
  const symbol = info.symbol("init_uts_ns");
  if (symbol === undefined) return undefined;
  for (const offset of [info.offset("uts_namespace.name") ?? 4, 4, 0]) {
    const bytes = space.readVirtual(symbol + BigInt(offset), UTSNAME_SIZE);
    if (bytes !== undefined && decodeUtsname(bytes).sysname === "Linux") return bytes;
  }
  return undefined;
}

/** @param bytes {@link UTSNAME_SIZE} or more */
export function decodeUtsname(bytes: Uint8Array): Utsname {
  const text = (index: number) => {
    const field = bytes.subarray(index * FIELD, (index + 1) * FIELD);
    const end = field.indexOf(0);
    return new TextDecoder("latin1").decode(end < 0 ? field : field.subarray(0, end));
  };
  return Object.fromEntries(FIELDS.map((name, index) => [name, text(index)])) as Utsname;
}

/** As {@link decodeUtsname}, the other way: for a kernel whose own cannot be read. */
export function encodeUtsname(names: Partial<Utsname>): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(UTSNAME_SIZE);
  for (const [index, name] of FIELDS.entries()) {
    const text = new TextEncoder().encode(names[name] ?? "");
    bytes.set(text.subarray(0, FIELD - 1), index * FIELD);
  }
  return bytes;
}
