/** One word of each page: as little as a reader can do, so that what the kernel does for it stands out. */
import type { Backend } from "../../ffi/backend.ts";

/** Loads a word of each page. @param length bytes from `address`, whole pages; all of them mapped */
export type Touch = (address: number, length: number) => void;

/**
 * Touches through views, where a load is one instruction; `peek` takes more than a hundred.
 *
 * To make a view takes many thousands. So views are kept: the kernel gives a window the place of the one before. They
 * are looked at only here, and only where the caller has mapped something.
 */
export function pageTouch({ view }: Backend, pageSize: number): Touch {
  const step = pageSize / Uint32Array.BYTES_PER_ELEMENT;
  const views = new Map<number, Uint32Array>();
  // What was loaded goes somewhere, lest the loads be optimised away.
  const seen = new Uint32Array(1);
  return (address, length) => {
    let words = views.get(address);
    if (words === undefined || words.byteLength < length) {
      words = new Uint32Array(view(address, length));
      views.set(address, words);
    }
    seen[0] = loads(words, length / Uint32Array.BYTES_PER_ELEMENT, step);
  };
}

/** A function of its own, without variables of another: soon compiled, and one compilation for all windows. */
function loads(words: Uint32Array, end: number, step: number): number {
  let all = 0;
  for (let at = 0; at < end; at += step) all ^= words[at] as number;
  return all;
}
