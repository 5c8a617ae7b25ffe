/**
 * Text made safe for a terminal, measured, wrapped and coloured. Colour goes through kleur, and only where the caller
 * says so: kleur's own switch is global and guesses from the environment, which a pure function must not depend on.
 */
import { $, bold, cyan, dim, green, magenta, red, yellow } from "kleur/colors";

const STYLES = {
  strong: bold,
  dim,
  good: green,
  bad: red,
  warn: yellow,
  accent: cyan,
  second: magenta,
} as const;

/** What a piece of text means; the colour follows from it. */
export type Style = keyof typeof STYLES;

/** Where text is going to be seen. Renderers take it from the caller and ask nobody else. */
export interface Look {
  /** Characters in a line; a table or chart is fitted into it. */
  columns: number;
  /** Colours (escape sequences). Without them the output has no control character but the line feed. */
  colours: boolean;
  /** Blocks and lines beyond ASCII. Off unless told: serial consoles and log files are read by anything. */
  unicode?: boolean;
}

/** `text` in the colour of `style`, or as it is where `colours` is false. */
export function paint(colours: boolean, style: Style | undefined, text: string): string {
  if (!colours || style === undefined || text === "") return text;
  const before = $.enabled;
  $.enabled = true;
  const painted = STYLES[style](text);
  $.enabled = before;
  return painted;
}

/**
 * `text` with each control character replaced by `?`. Everything that comes out of a vmcore (a release string, a note's
 * name) passes through here before a terminal sees it: a crashed kernel's memory may hold escape sequences.
 */
export function printable(text: string): string {
  // Beside the C0 and C1 controls: the marks that reverse or hide what follows them.
  return text.replace(/[\p{Cc}\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu, "?");
}

/** Characters that `text` takes in a line: code points, without combining marks; text has no escape sequences yet. */
export function textWidth(text: string): number {
  let width = 0;
  for (const char of text) if (!/\p{M}/u.test(char)) width++;
  return width;
}

/** `text` filled with spaces to `width`, on the side that `align` leaves free. */
export function pad(text: string, width: number, align: "left" | "right"): string {
  const fill = " ".repeat(Math.max(0, width - textWidth(text)));
  return align === "left" ? text + fill : fill + text;
}

/** `text` broken at spaces into lines of at most `width` characters; a longer word is cut. Never empty. */
export function wrap(text: string, width: number): string[] {
  if (textWidth(text) <= width) return [text]; // as it is, with spaces at its ends
  const room = Math.max(1, width);
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && textWidth(line) + 1 + textWidth(word) > room) {
      lines.push(line);
      line = "";
    }
    line = line === "" ? word : `${line} ${word}`;
    while (textWidth(line) > room) {
      const chars = Array.from(line);
      lines.push(chars.slice(0, room).join(""));
      line = chars.slice(room).join("");
    }
  }
  lines.push(line);
  return lines;
}
