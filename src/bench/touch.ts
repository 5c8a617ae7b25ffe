/** One word of each page: as little as a reader can do, so that what the kernel does for it stands out. */
import type { Backend } from "../../ffi/backend.ts";

/** Loads a word of each page. @param length bytes from `address`, whole pages; all of them mapped */
export type Touch = (address: number, length: number) => void;

/**
 * Touches through a view, where a load is one instruction; `peek` takes more than a hundred.
 *
 * To make a view takes thousands, so that it is made for `size` bytes and kept for the next window: the kernel gives a
 * window the place of the one before. It is looked at only here, and only where the caller has mapped something.
 */
export function pageTouch({ view }: Backend, pageSize: number, size: number): Touch {
  const step = pageSize / Uint32Array.BYTES_PER_ELEMENT;
  // What was loaded goes somewhere, lest the loads be optimised away.
  const seen = new Uint32Array(1);
  let words = new Uint32Array(0);
  let place = Number.NaN;
  return (address, length) => {
    if (address !== place) {
      words = new Uint32Array(view(address, size));
      place = address;
    }
    const end = length / Uint32Array.BYTES_PER_ELEMENT;
    let all = 0;
    for (let at = 0; at < end; at += step) all ^= words[at] as number;
    seen[0] = all;
  };
}
