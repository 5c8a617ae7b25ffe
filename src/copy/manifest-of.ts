/** The manifest of a raw copy, from what the source says of itself and how far the copy has come. */
import { createHash } from "node:crypto";
import type { DumpFile } from "../dump/dump-file.ts";
import type { Manifest, ManifestSource, UnreadableRange } from "../dump/manifest.ts";
import { VERSION } from "../version.ts";
import type { Vmcore } from "../vmcore/vmcore.ts";
import { joinExtents } from "../vmcore/window.ts";
import { sourceIdentity } from "./identity.ts";
import type { CopyState } from "./state.ts";

/** Makes manifests of one copy. What the source says is asked once, at the start. */
export function manifestMaker(vmcore: Vmcore): (state: CopyState, complete: boolean) => Manifest {
  const source = sourceFacts(vmcore);
  return (state, complete) => ({
    complete,
    tool: TOOL,
    source,
    dump: { format: "raw", dumpLevel: 0, compression: "none", size: vmcore.size },
    chunkSize: state.chunkSize,
    digests: state.digests,
    sha256: complete ? (state.sha256?.digest("hex") ?? null) : null,
    unreadable: unreadableRanges(vmcore, state),
  });
}

/** The program, as a manifest names it. */
const TOOL = { name: "vmcopy", version: VERSION };

/** What a manifest says of a vmcore. */
export function sourceFacts(vmcore: Vmcore): ManifestSource {
  const info = optionalInfo(vmcore);
  return {
    path: vmcore.path,
    size: vmcore.size,
    kernelRelease: info?.release ?? null,
    crashTime: info?.crashTime ?? null,
    identity: sourceIdentity(vmcore),
    segments: vmcore.headers.loads.map((load) => ({
      offset: load.offset,
      fileSize: load.fileSize,
      physicalAddress: load.physicalAddress === undefined ? null : `0x${load.physicalAddress.toString(16)}`,
      virtualAddress: `0x${load.virtualAddress.toString(16)}`,
    })),
  };
}

/** The manifest of a finished dump of pages. @throws LibcError where it cannot be read back */
export function dumpManifest(
  file: DumpFile,
  source: ManifestSource,
  facts: Omit<Manifest["dump"], "size"> & {
    readonly chunkSize: number;
    readonly sha256: boolean;
    readonly unreadable: readonly UnreadableRange[];
  },
): Manifest {
  const { format, dumpLevel, compression, chunkSize, unreadable } = facts;
  let sha256: string | null = null;
  if (facts.sha256) {
    const hash = createHash("sha256");
    for (const piece of file.contents()) hash.update(piece);
    sha256 = hash.digest("hex");
  }
  return {
    complete: true,
    tool: TOOL,
    source,
    dump: { format, dumpLevel, compression, size: file.size },
    chunkSize,
    digests: file.digests(),
    sha256,
    unreadable,
  };
}

/** Ranges that could not be read, with their physical addresses. */
export function unreadableRanges(vmcore: Vmcore, state: CopyState): UnreadableRange[] {
  return joinExtents(state.unreadable).map(({ offset, length }) => ({
    offset,
    length,
    physicalAddress: vmcore.physical.at(offset) ?? null,
  }));
}

/** VMCOREINFO, or nothing where the notes are damaged: a raw copy does not need them. */
function optionalInfo(vmcore: Vmcore) {
  try {
    return vmcore.info;
  } catch {
    return undefined;
  }
}
