/** `makedumpfile`: its command lines, messages and exit codes; the dumps are vmcopy's. */
import type { Libc } from "../../../ffi/libc.ts";
import { rearrangeStream } from "../../copy/rearrange-stream.ts";
import { readDmesg } from "../../dmesg/dmesg.ts";
import { formatRecord } from "../../dmesg/format.ts";
import { EXIT_OK, Interrupted, VmcopyError } from "../../errors.ts";
import { toFile, toStandardOutput } from "../log-output.ts";
import { type Personality, reasonOf } from "../personality.ts";
import { countPages, createDump, reassemble, replaces } from "./dumps.ts";
import { HELP_LINES, VERSION_LINES } from "./help.ts";
import { Messages } from "./messages.ts";
import { type Request, readRequest } from "./options.ts";
import { checkKernel, debugSource } from "./source.ts";
import { usageLines } from "./usage.ts";

/** Whatever fails. */
const EXIT_FAILED = 1;

export const makedumpfile: Personality = async (libc, args) => {
  const request = readRequest(args);
  const messages = new Messages(request.messages, request.flatten);
  if ("lines" in request) {
    if (request.error !== undefined) messages.error(request.error);
    messages.common(...request.lines, ...(request.checkOnly ? [] : FAILED));
    return EXIT_FAILED;
  }
  if (request.mode === "help" || request.mode === "version") {
    messages.common(...(request.mode === "help" ? HELP_LINES : VERSION_LINES));
    return EXIT_OK;
  }
  if (request.checkOnly) return EXIT_OK;
  let exitCode = EXIT_FAILED;
  try {
    exitCode = await work(libc, messages, request, args);
  } catch (error) {
    messages.error(`makedumpfile: ${inItsWords(reasonOf(error))}`);
    if (error instanceof Interrupted) exitCode = error.exitCode;
  }
  // Its table is all that it says of --mem-usage.
  const completed = request.mode === "usage" ? [] : COMPLETED;
  messages.common(...(exitCode === EXIT_OK ? completed : FAILED));
  return exitCode;
};

const COMPLETED = ["", "makedumpfile Completed."];
const FAILED = ["", "makedumpfile Failed."];

async function work(
  libc: Libc,
  messages: Messages,
  request: Request,
  args: readonly string[],
): Promise<number> {
  const { mode, flatten, dests, force } = request;
  if (messages.debugging)
    messages.debug(...VERSION_LINES, `command line: makedumpfile ${args.join(" ")}`, "");
  for (const dest of mode === "create" || mode === "reassemble" || mode === "rearrange" ? dests : [])
    refuseExisting(libc, dest, force);
  if (mode === "rearrange") {
    const [dest = ""] = dests;
    await rearrangeStream(libc, messages, { dest, force: replaces(libc, request) });
    messages.common("", `The dumpfile is saved to ${dest}.`);
    return EXIT_OK;
  }
  if (mode === "reassemble") return await reassemble(libc, messages, request);
  const mismatch = checkKernel(libc, messages, request);
  if (mismatch !== undefined) return mismatch;
  if (messages.debugging) debugSource(libc, messages, request);
  if (mode === "create") return await createDump(libc, messages, request);
  if (mode === "usage") {
    messages.common(...usageLines(await countPages(libc, messages, request)));
    return EXIT_OK;
  }
  const [source = ""] = request.sources;
  const { records, problems } = readDmesg(libc, { source, sinceClear: request.partialDmesg });
  for (const problem of problems) messages.error(`makedumpfile: ${source}: ${problem}`);
  if (records.length === 0 && problems.length > 0) return EXIT_FAILED;
  const text = records.map((record) => formatRecord(record)).join("");
  if (flatten) toStandardOutput(libc, text);
  else toFile(libc, dests[0] ?? "", text, force);
  messages.common("", `The dmesg log is saved to ${flatten ? "STDOUT" : dests[0]}.`);
  return EXIT_OK;
}

/** @throws VmcopyError E_EXISTS */
function refuseExisting(libc: Libc, dest: string, force: boolean): void {
  if (force || libc.status(dest) === undefined) return;
  throw new VmcopyError("E_EXISTS", `Cannot write ${dest}: it is there already; replace it by -f`);
}

/** Advice as it is followed here. */
function inItsWords(reason: string): string {
  return reason.replaceAll("--force", "-f");
}
