/**
 * The words that text pages are written in, the frequent ones first: those of logs, settings and prose.
 */

export const WORDS = (
  "the of and to in a is for on with by as at from not be kernel memory page error device driver system file bus " +
  "started stopped info debug warning failed service network interface link up down address port user root session " +
  "true false none default enable disable timeout retry count size limit path name type value key index offset " +
  "length buffer block sector disk volume mount unmount read write open close request response status code message " +
  "process thread task queue lock wait wake signal handler timer clock interrupt cpu core cache node zone slab " +
  "filesystem directory inode journal commit recovery checksum register module version release build config option " +
  "server client connection socket packet received sent dropped bytes total used free available usage rate average " +
  "peak threshold exceeded reached because while before after again still already when where which that this these " +
  "there would should could every other another without between through during under above below first last next"
).split(" ");

/** Words one after the other in one array, word i from starts[i] to starts[i + 1]. */
export interface PackedWords {
  readonly packed: Uint8Array;
  readonly starts: Uint16Array;
}

/** @param words ASCII, together at most 65,535 bytes */
export function packWords(words: readonly string[]): PackedWords {
  const starts = new Uint16Array(words.length + 1);
  for (const [index, word] of words.entries()) starts[index + 1] = (starts[index] as number) + word.length;
  return { packed: new TextEncoder().encode(words.join("")), starts };
}
