/** Log records as dmesg and makedumpfile --dump-dmesg print them. */
import type { LogRecord } from "../vmcore/log.ts";

const NEWLINE = 10;
const TAB = 9;

/** `[    1.234567] text`, further lines indented, whatever cannot be printed as \xNN. @returns whole lines */
export function formatRecord({ nanoseconds, caller, text }: LogRecord, withCaller: boolean): string {
  const seconds = nanoseconds / 1_000_000_000n;
  const micros = (nanoseconds % 1_000_000_000n) / 1000n;
  const time = `[${String(seconds).padStart(5)}.${String(micros).padStart(6, "0")}] `;
  const prefix = withCaller && caller !== undefined ? `${time}[${caller.padStart(6)}] ` : time;
  return `${prefix}${printable(text, prefix.length)}\n`;
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
