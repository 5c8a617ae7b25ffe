/** What an installation would do, file by file: nothing is touched here. */

import type { Integration, Item } from "./integrations.ts";
import { digestOf, type InstallRecord } from "./record.ts";
import type { Found, Root } from "./root.ts";

/**
 * `written`: nothing was there. `replaced`: an older vmcopy's, as that wrote it. `same`: it is there already. `kept`:
 * something else is there, which stays.
 */
export type FileState = "written" | "replaced" | "same" | "kept";

export interface Planned {
  readonly item: Item;
  readonly state: FileState;
  readonly found: Found;
  /** of what is wanted there */
  readonly digest: string;
}

/** @param program its bytes @throws VmcopyError E_USAGE where the root's links lead out of it */
export function planInstall(
  root: Root,
  record: InstallRecord,
  { items }: Integration,
  program: Uint8Array,
): Planned[] {
  return items.map((item) => {
    const found = root.look(item.path);
    const digest = digestOf(contentOf(item, program));
    return { item, found, digest, state: stateOf(item, found, digest, record) };
  });
}

/** A file's bytes, or a link's target. */
export function contentOf(item: Item, program: Uint8Array): Uint8Array | string {
  if (item.kind === "program") return program;
  return item.kind === "link" ? item.target : item.text;
}

function stateOf(item: Item, found: Found, digest: string, record: InstallRecord): FileState {
  if (found.kind === "nothing") return "written";
  if (found.kind !== (item.kind === "link" ? "link" : "file")) return "kept";
  if (found.digest === digest) return "same";
  return record.files[item.path]?.digests.includes(found.digest) === true ? "replaced" : "kept";
}
