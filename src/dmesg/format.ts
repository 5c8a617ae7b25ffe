/** Log records as dmesg, makedumpfile --dump-dmesg and vmcore-dmesg print them. */
import type { LogRecord } from "../vmcore/log.ts";

const NEWLINE = 10;
const TAB = 9;

export interface RecordStyle {
  /** say which task or CPU a record is of */
  readonly caller?: boolean;
  /** further lines of a record stand below the first; vmcore-dmesg's do not */
  readonly indented?: boolean;
}

/** `[    1.234567] text`, whatever cannot be printed as \xNN. @returns whole lines */
export function formatRecord(
  record: LogRecord,
  { caller = false, indented = true }: RecordStyle = {},
): string {
  const { nanoseconds, text } = record;
  const seconds = nanoseconds / 1_000_000_000n;
  const micros = (nanoseconds % 1_000_000_000n) / 1000n;
  const time = `[${String(seconds).padStart(5)}.${String(micros).padStart(6, "0")}] `;
  const prefix = caller && record.caller !== undefined ? `${time}[${record.caller.padStart(6)}] ` : time;
  return `${prefix}${printable(text, indented ? prefix.length : 0)}\n`;
}

function printable(text: Uint8Array, indent: number): string {
  let line = "";
  for (const byte of text) {
    if (byte === NEWLINE) line += `\n${" ".repeat(indent)}`;
    else if ((byte >= 32 && byte < 127) || byte === TAB) line += String.fromCharCode(byte);
    else line += `\\x${byte.toString(16).padStart(2, "0")}`;
  }
  return line;
}
