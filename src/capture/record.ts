/** capture.json: what a capture did, step by step. It is written anew after each step, so that a cut tells where. */
import { VERSION } from "../version.ts";
import type { Action } from "./actions.ts";
import type { DumpRecord } from "./dump.ts";
import type { Step } from "./steps.ts";

/** How a directory is known for one that a capture made. */
export const RECORD_FORMAT = "vmcopy-capture";

/**
 * running: it is at work, or was cut off; complete: a dump is there, verified where that was wanted; log-only: that
 * was not to be had, and it is content with the log; incomplete: neither.
 */
export type CaptureState = "running" | "complete" | "log-only" | "incomplete";

export interface CaptureRecord {
  readonly format: typeof RECORD_FORMAT;
  readonly version: 1;
  readonly tool: { readonly name: "vmcopy"; readonly version: string };
  readonly state: CaptureState;
  readonly source: string;
  /** of the directory, as people know it; null where none could be made */
  readonly directory: string | null;
  /** ISO 8601, by this kernel's clock */
  readonly started: string;
  readonly seconds: number;
  readonly settings: object;
  /** settings that were passed over */
  readonly warnings: readonly string[];
  readonly dump: DumpRecord | null;
  /** true: read back from the disk and right; null: nobody looked */
  readonly verified: boolean | null;
  /** old captures that made way */
  readonly removed: readonly string[];
  /** what becomes of the machine; null while that is not settled */
  readonly actions: readonly Action[] | null;
  readonly steps: readonly Step[];
}

export function toolOf(): CaptureRecord["tool"] {
  return { name: "vmcopy", version: VERSION };
}
