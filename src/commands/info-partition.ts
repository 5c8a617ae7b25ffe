/** What a raw partition with a capture says of itself, as text and as JSON. */
import type { PartitionReader } from "../dump/partition-reader.ts";
import { type Look, paint, printable } from "../ui/style.ts";
import { formatSize } from "../units.ts";

export function partitionText(partition: PartitionReader, look: Look): string {
  const { header, path } = partition;
  const width = Math.max(...header.members.map(({ name }) => name.length), 0);
  const lines = header.members.map(
    ({ name, offset, length }) => `  ${name.padEnd(width)}  ${formatSize(length)} at offset ${offset}\n`,
  );
  const marks = partition
    .problems()
    .map((line) => `  ${paint(look.colours, "bad", `INCOMPLETE: ${line}`)}\n`);
  const title = paint(look.colours, "strong", printable(path));
  return `${title}\n  a capture on a raw partition of ${formatSize(header.size)}: ${header.state}\n${lines.join("")}${marks.join("")}`;
}

export function partitionJson(partition: PartitionReader): object {
  const { state, sequence, size, members } = partition.header;
  const places = members.map(({ name, offset, length }) => ({ name, offset, length }));
  return { state, sequence, size, members: places, problems: partition.problems() };
}
