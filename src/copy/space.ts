/** Whether a dump will fit, asked before its first byte is written. */
import { Mapping } from "../../ffi/mapping.ts";
import { VmcopyError } from "../errors.ts";
import type { Space } from "../sink/file.ts";
import { formatSize } from "../units.ts";
import type { Vmcore } from "../vmcore/vmcore.ts";

/** Pages looked at to tell how much of a vmcore is zeros. */
const SAMPLES = 2048;

/** Space a dump takes. */
export interface SpaceNeed {
  /** bytes that it takes for sure */
  readonly least: number;
  /** bytes that it probably takes */
  readonly likely: number;
  /** how that is known, for the message */
  readonly basis: string;
}

/** Space that `vmcore` takes from `offset` on. @param sparse zero pages are left out */
export function spaceNeed(vmcore: Vmcore, offset: number, sparse: boolean): SpaceNeed {
  const all = vmcore.size - offset;
  if (!sparse) return { least: all, likely: all, basis: "its size" };
  if (vmcore.backing !== "procfs") {
    const { allocated } = vmcore.file.status();
    if (allocated < all) {
      // Its holes will be holes; what is not may hold zero pages too.
      const likely = Math.min(all, (allocated * all) / vmcore.size);
      return {
        least: Math.min(likely, least(dataShare(vmcore, offset), all)),
        likely,
        basis: "what its source takes",
      };
    }
  }
  const share = dataShare(vmcore, offset);
  return {
    least: least(share, all),
    likely: share.value * all,
    basis: `an estimate from ${SAMPLES} pages, zero pages left out`,
  };
}

/**
 * Compares the need with what there is.
 *
 * @returns a warning where the dump may not fit
 * @throws VmcopyError E_NO_SPACE where it cannot
 */
export function checkSpace(dest: string, need: SpaceNeed, { available, atMost }: Space): string | undefined {
  const figures = `the dump needs about ${formatSize(need.likely)} (${need.basis}), ${formatSize(available)} (${available} bytes) are free`;
  if (atMost < need.least) {
    throw new VmcopyError(
      "E_NO_SPACE",
      `Cannot write ${dest}: ${figures}; free ${formatSize(need.likely - available)} or write elsewhere`,
    );
  }
  return available < need.likely ? `${dest} may not fit: ${figures}` : undefined;
}

interface Share {
  readonly value: number;
  readonly margin: number;
}

function least({ value, margin }: Share, all: number): number {
  return Math.max(0, value - margin) * all;
}

/**
 * Share of pages that are not all zeros; three standard errors as the margin. One page is looked at in each of
 * {@link SAMPLES} equal stretches, at a place in it that varies: memory has patterns (huge pages, slabs) that a
 * fixed step could fall in with.
 */
function dataShare(vmcore: Vmcore, from: number): Share {
  const { libc } = vmcore.file;
  const { pageSize } = libc;
  const pages = Math.max(1, Math.floor((vmcore.size - from) / pageSize));
  const step = Math.max(1, pages / SAMPLES);
  using page = Mapping.buffer(libc, pageSize);
  let seen = 0;
  let data = 0;
  for (let stretch = 0; stretch * step < pages; stretch++) {
    // The golden ratio's multiples spread evenly and have no period.
    const index = Math.min(pages - 1, Math.floor((stretch + ((stretch * 0.6180339887) % 1)) * step));
    seen++;
    try {
      vmcore.file.pread(page.address, pageSize, from + index * pageSize);
    } catch {
      // What cannot be read becomes zeros in the copy.
      continue;
    }
    const first = page.bytes(0, 8).some((byte) => byte !== 0);
    if (first || libc.backend.calls.memcmp(page.address, page.address + 8, pageSize - 8) !== 0) data++;
  }
  const value = data / seen;
  return { value, margin: 3 * Math.sqrt((value * (1 - value)) / seen) + 1 / seen };
}
