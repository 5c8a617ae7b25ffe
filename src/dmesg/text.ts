/** The log of a capture that has no dump to read it from: records of a dmesg.txt, as formatRecord() wrote them. */
import type { LogRecord } from "../vmcore/log.ts";

const LINE = /^\[ *(\d+)\.(\d{6})\] (.*)$/;

/** Lines without a time belong to the record before them. Levels, facilities and callers are not in the text. */
export function parseLogText(text: string): LogRecord[] {
  const found: { nanoseconds: bigint; lines: string[]; indent: number }[] = [];
  for (const line of text.replace(/\n$/, "").split("\n")) {
    const match = LINE.exec(line);
    const last = found.at(-1);
    if (match !== null) {
      const [, seconds = "", micros = "", rest = ""] = match;
      const nanoseconds = BigInt(seconds) * 1_000_000_000n + BigInt(micros) * 1000n;
      found.push({ nanoseconds, lines: [rest], indent: line.length - rest.length });
    } else if (last !== undefined) {
      last.lines.push(line.slice(last.indent));
    } else if (line !== "") {
      // The end of a record, where only the end of the log found room.
      found.push({ nanoseconds: 0n, lines: [line], indent: 0 });
    }
  }
  const encoder = new TextEncoder();
  return found.map(({ nanoseconds, lines }, seq) => ({
    seq,
    nanoseconds,
    ...{ level: undefined, facility: undefined, caller: undefined },
    text: encoder.encode(lines.join("\n")),
  }));
}
