/**
 * The errors that reach a user: a code for programs, one line for people, and the exit code.
 *
 * The line says what was being done to what, why it failed and what to do, in that order.
 */

/** Exit codes, as cmp(1) has them. */
export const EXIT_OK = 0;
/** The data is not what it should be: verify found a difference, the copy is incomplete. */
export const EXIT_DATA = 1;
/** It could not be done: usage, not a vmcore, no space, I/O error. */
export const EXIT_FAILED = 2;

export type ErrorCode =
  | "E_USAGE"
  | "E_NOT_VMCORE"
  | "E_NO_SPACE"
  | "E_EXISTS"
  | "E_IO"
  | "E_MANIFEST"
  | "E_RESUME"
  | "E_UNSUPPORTED"
  | "E_IMAGE"
  | "E_CRASHKERNEL"
  | "E_INTERRUPTED"
  | "E_INTERNAL";

export class VmcopyError extends Error {
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly exitCode: number = EXIT_FAILED,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = "VmcopyError";
  }
}

/** The user asked to stop: exit code 130 on Ctrl-C, 143 on SIGTERM. */
export class Interrupted extends VmcopyError {
  constructor(readonly signal: "SIGINT" | "SIGTERM") {
    super("E_INTERRUPTED", `Stopped by ${signal}`, signal === "SIGINT" ? 130 : 143);
  }
}
