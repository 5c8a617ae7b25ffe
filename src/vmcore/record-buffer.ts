/**
 * The log of Linux 3.5 to 5.9: records of variable length in one buffer (kernel/printk/printk.c, struct printk_log,
 * before 5.5 in VMCOREINFO sometimes `log`). A record of length 0 says that the next one is at the start.
 */
import type { AddressSpace } from "./address-space.ts";
import type { Log, LogRecord } from "./log.ts";
import type { Vmcoreinfo } from "./vmcoreinfo.ts";

/** log_buf_len is at most 2 GiB; what is read at once is less. */
const MOST_BYTES = 64 << 20;

export function hasRecordBuffer(info: Vmcoreinfo): boolean {
  return info.symbol("log_buf") !== undefined && info.symbol("log_buf_len") !== undefined;
}

/** Reads all records, from the first to the next; each step goes forward, and around the end once. */
export function readRecordBuffer(space: AddressSpace): Log {
  const { info } = space.memory;
  const pointer = word(space, "log_buf", 8);
  const size = Number(word(space, "log_buf_len", 4) ?? 0n);
  const type = info.size("printk_log") === undefined ? "log" : "printk_log";
  const header = info.size(type);
  const offsets = ["ts_nsec", "len", "text_len"].map((member) => info.offset(`${type}.${member}`));
  const [time, length, textLength] = offsets;
  const [first, next] = [word(space, "log_first_idx", 4), word(space, "log_next_idx", 4)];
  const problem = (reason: string): Log => ({ records: [], problems: [`the log cannot be read: ${reason}`] });
  if (header === undefined || time === undefined || length === undefined || textLength === undefined) {
    return problem("VMCOREINFO does not tell its records");
  }
  if (pointer === undefined || first === undefined || next === undefined)
    return problem("log_buf is not there");
  if (size <= header || size > MOST_BYTES) return problem(`it would have ${size} bytes (log_buf_len)`);
  const bytes = space.readVirtual(pointer, size);
  if (bytes === undefined) return problem("its buffer is not in the dump");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const records: LogRecord[] = [];
  let at = Number(first);
  const end = Number(next);
  for (let wrapped = false; at !== end; ) {
    const recordLength = at + header <= size ? view.getUint16(at + length, true) : 0;
    if (recordLength === 0) {
      // Twice around would never end.
      if (wrapped) return { records, problems: ["the log's records have no end"] };
      wrapped = true;
      at = 0;
      continue;
    }
    const textSize = view.getUint16(at + textLength, true);
    if (
      recordLength < header ||
      at + recordLength > size ||
      header + textSize > recordLength ||
      (wrapped && at > end)
    ) {
      return { records, problems: [`the log is damaged from its record ${records.length} on`] };
    }
    // Behind text_len and dict_len: facility, then flags (5 bits) and level (3 bits).
    const facility = view.getUint8(at + textLength + 4);
    const level = view.getUint8(at + textLength + 5) >> 5;
    records.push({
      seq: records.length,
      nanoseconds: view.getBigUint64(at + time, true),
      level,
      facility,
      caller: undefined,
      text: bytes.subarray(at + header, at + header + textSize),
    });
    at += recordLength;
  }
  return { records, problems: [] };
}

function word(space: AddressSpace, name: string, size: 4 | 8): bigint | undefined {
  const symbol = space.memory.info.symbol(name);
  const bytes = symbol === undefined ? undefined : space.readVirtual(symbol, size);
  if (bytes === undefined) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return size === 8 ? view.getBigUint64(0, true) : BigInt(view.getUint32(0, true));
}
