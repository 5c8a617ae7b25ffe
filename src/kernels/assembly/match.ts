// Where matches begin, for LZO and snappy: a hash table of places in the page, looked at less often the longer
// nothing is found.

const HASH_BITS: u32 = 12;
const TABLE = memory.data(1 << 13, 16); // u16 positions
/** Steps are counted in units of 1 / UNIT: the first is a byte long. */
const UNIT_BITS: u32 = 4;

function slot(word: u32): usize {
  return TABLE + <usize>(((word * 0x9e3779b1) >> (32 - HASH_BITS)) << 1);
}

/** Forgets the page before. A large table would find little more in 4 KiB, and take longer to clear than that saves. */
export function forgetPlaces(): void {
  memory.fill(TABLE, 0, 1 << (HASH_BITS + 1));
}

/** Remembers a place. */
export function rememberPlace(page: usize, at: usize): void {
  store<u16>(slot(load<u32>(at)), <u16>(at - page));
}

/** What {@link nextMatch} found: where the same bytes stand before. */
export let earlier: usize = 0;

/**
 * The next place from `at` on, before `last`, whose four bytes were seen in the page already.
 *
 * @param far most bytes between the two
 * @param growth by how much a step is longer than the one before, in sixteenths of a byte
 * @returns that place, and {@link earlier} is the other; 0 where there is none
 */
export function nextMatch(page: usize, at: usize, last: usize, far: usize, growth: usize): usize {
  let step: usize = 1 << UNIT_BITS;
  let word = load<u32>(at);
  while (true) {
    const next = at + (step >> UNIT_BITS);
    if (next >= last) return 0;
    const place = slot(word);
    const candidate = page + <usize>load<u16>(place);
    store<u16>(place, <u16>(at - page));
    if (load<u32>(candidate) === word && at - candidate <= far) {
      earlier = candidate;
      return at;
    }
    step += growth;
    at = next;
    word = load<u32>(at);
  }
}
