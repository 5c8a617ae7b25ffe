/** The crashed kernel's log: records, from whichever buffer its version has. */
import type { AddressSpace } from "./address-space.ts";
import { hasPrintkRing, readPrintkRing } from "./printk-ring.ts";
import { hasRecordBuffer, readRecordBuffer } from "./record-buffer.ts";

export interface LogRecord {
  readonly seq: number;
  /** nanoseconds since boot */
  readonly nanoseconds: bigint;
  /** 0 (emergency) to 7 (debug); undefined where it is not told */
  readonly level: number | undefined;
  readonly facility: number | undefined;
  /** `T12` a task, `C1` a CPU; undefined where it is not told */
  readonly caller: string | undefined;
  /** as it stands, bytes; lines in it are separated by newlines */
  readonly text: Uint8Array;
}

export interface Log {
  readonly records: readonly LogRecord[];
  /** one line each: what of the log could not be read */
  readonly problems: readonly string[];
}

/** Reads the log. @param step called for each record that is read by itself @returns undefined where VMCOREINFO tells of none */
export function readLog(space: AddressSpace, step: () => void = () => {}): Log | undefined {
  const { info } = space.memory;
  if (hasPrintkRing(info)) return readPrintkRing(space, step);
  return hasRecordBuffer(info) ? readRecordBuffer(space) : undefined;
}

/**
 * The first record that is not cleared, by its seq: clear_seq, a pair of values of which a latch tells the valid one
 * (Linux 5.12 and later). @returns undefined where it cannot be read
 */
export function clearedBefore(space: AddressSpace): bigint | undefined {
  const { info } = space.memory;
  const symbol = info.symbol("clear_seq");
  const values = info.offset("latched_seq.val");
  if (symbol === undefined || values === undefined) return undefined;
  const bytes = space.readVirtual(symbol, values + 16);
  if (bytes === undefined) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return view.getBigUint64(values + 8 * (view.getUint32(0, true) & 1), true);
}
