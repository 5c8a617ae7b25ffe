/** Text made safe for SVG and HTML. Kernel release, CPU and path come from outside, and a report is opened in a browser. */

const ENTITIES: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** `text` for element content and for quoted attributes. What XML cannot hold at all becomes U+FFFD. */
export function escapeMarkup(text: string): string {
  return text
    .replace(/\p{Cc}|\p{Cs}|[\ufffe\uffff]/gu, "\ufffd")
    .replace(/[&<>"']/g, (char) => ENTITIES[char] ?? char);
}

/** `text` cut to `length` characters, with an ellipsis where something is missing. Not yet escaped. */
export function clip(text: string, length: number): string {
  const chars = Array.from(text.trim());
  return chars.length <= length ? chars.join("") : `${chars.slice(0, length - 1).join("")}\u2026`;
}

/** A coordinate with two decimals at most. */
export function coordinate(value: number): string {
  return String(Math.round(value * 100) / 100);
}
