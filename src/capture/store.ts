/** What the steps of a capture write to, whether it is a directory or a raw partition. */
import { LibcError } from "../../ffi/errno.ts";
import type { DestinationOptions } from "../copy/destination.ts";
import type { MemberName } from "../dump/partition-header.ts";

/** What lies there; beside the dump its manifest. */
export const LOG = "dmesg.txt";
export const SUMMARY = "crash.json";
export const DUMP = "vmcore";
export const RECORD = "capture.json";

export interface Store {
  readonly isRaw: boolean;
  /** as it is told */
  readonly path: string;
  /** what verify is given to find the dump */
  readonly dump: string;
  /** where copy writes the dump */
  readonly dumpPlace: Pick<DestinationOptions, "dest" | "part">;
  /** bytes that a dump may take */
  readonly available: number;
  /** whether pages of zeros take no room in a dump of all memory */
  readonly holes: boolean;
  /** the step that says what has become of it */
  readonly ending: string;
  /** Writes a member, whole and durable. @throws LibcError */
  write(name: MemberName, bytes: Uint8Array): void;
  /**
   * Writes the log; where not all of it finds room, the end of it.
   *
   * @returns bytes written @throws LibcError where not even that can be written
   */
  writeLog(log: Uint8Array): number;
  /**
   * Writes capture.json anew.
   *
   * @param isLast no other follows @throws LibcError
   */
  writeRecord(record: object, isLast: boolean): void;
  /** Removes what an attempt that failed has left of a dump. @throws LibcError */
  removePartial(): void;
  /** It is what it says from now on, durable. @throws LibcError */
  commit(state: "complete" | "log-only"): void;
  /** Lets go of it. */
  close(): void;
}

export function isFull(error: unknown): boolean {
  return error instanceof LibcError && (error.code === "ENOSPC" || error.code === "EDQUOT");
}
