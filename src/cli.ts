/**
 * The program: commands, personalities, exit codes, and how errors are said. The only file that knows process.argv and
 * process.exit.
 *
 * Exit codes: 0 done; 1 the data is not what it should be; 2 it could not be done; 130 Ctrl-C; 143 SIGTERM.
 */
import process from "node:process";
import { Command, CommanderError } from "commander";
import { LibcError } from "../ffi/errno.ts";
import { Libc } from "../ffi/libc.ts";
import type { Outcome, Verb } from "./commands/command.ts";
import { EXIT_FAILED, EXIT_OK, VmcopyError } from "./errors.ts";
import { personalityOf } from "./personalities/personality.ts";
import { Terminal } from "./ui/terminal.ts";
import { VERSION } from "./version.ts";

/** Loaded when it is asked for: what a command line does not need takes no time at its start. */
const VERBS: Record<string, () => Promise<Verb>> = {
  copy: async () => (await import("./commands/copy.ts")).copy,
  verify: async () => (await import("./commands/verify.ts")).verify,
  bench: async () => (await import("./commands/bench.ts")).bench,
  info: async () => (await import("./commands/info.ts")).info,
  probe: async () => (await import("./commands/probe.ts")).probe,
  dmesg: async () => (await import("./commands/dmesg.ts")).dmesg,
  capture: async () => (await import("./commands/capture.ts")).capture,
  arm: async () => (await import("./commands/arm.ts")).arm,
  sample: async () => (await import("./commands/sample.ts")).sample,
  install: async () => (await import("./commands/install.ts")).install,
};

/** Runs one command line. @returns the exit code */
async function main(args: string[]): Promise<number> {
  const json = args.includes("--json");
  let exitCode = EXIT_OK;
  let verb = "";
  const program = new Command("vmcopy")
    .description("Copies, verifies and benchmarks /proc/vmcore, the memory of a crashed Linux kernel.")
    .version(VERSION, "-V, --version", "print the version")
    .helpCommand(false)
    .showSuggestionAfterError(true)
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .addHelpText(
      "after",
      "\nCalled as makedumpfile or vmcore-dmesg (by a link's name, or as the first argument), it takes their options;\n" +
        "as init, the first process of a capture kernel, it does all that capture does, and ends the machine.\n" +
        "Exit codes: 0 done, 1 the data is not what it should be, 2 it could not be done.\n" +
        "Sizes: 4096, 64K, 4M, 1G (powers of 1024). Help on a command: vmcopy <command> --help",
    );
  for (const name of verbsFor(args)) {
    const { describe, run } = await (VERBS[name] as () => Promise<Verb>)();
    const command = program.command(name).exitOverride();
    describe(command);
    command
      .option("--json", "print the result as one JSON object")
      .option("-q, --quiet", "no progress and no summary")
      .option("--no-color", "no colours (also: NO_COLOR)")
      .action(async () => {
        verb = name;
        const options = command.opts();
        const terminal = new Terminal({ quiet: options.quiet === true, colour: options.color !== false });
        const outcome = await run({ libc: await Libc.load(), terminal }, command.args, options);
        print(outcome, terminal, json, options.quiet === true);
        exitCode = outcome.afterwards?.() ?? outcome.exitCode;
      });
  }
  try {
    await program.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (error) {
    return report(error, verb, json);
  }
}

/** The one that is named; all for the help, and for whoever mistyped one. */
function verbsFor(args: string[]): string[] {
  if (args.length === 1 && ["-V", "--version"].includes(args[0] as string)) return [];
  const [first = ""] = args;
  return Object.hasOwn(VERBS, first) ? [first] : Object.keys(VERBS);
}

function print(outcome: Outcome, terminal: Terminal, json: boolean, quiet: boolean): void {
  if (json) terminal.result(`${JSON.stringify(outcome.json)}\n`);
  else if (outcome.outputTaken === true) terminal.inform(outcome.text.trimEnd());
  else if (!quiet) terminal.result(outcome.text);
}

/** Says an error in one line, or as JSON. @returns the exit code */
function report(error: unknown, verb: string, json: boolean): number {
  if (error instanceof CommanderError && error.exitCode === 0) return EXIT_OK;
  const { code, message, exitCode } = described(error);
  const terminal = new Terminal({ quiet: false, colour: !process.argv.includes("--no-color") });
  if (json) terminal.result(`${JSON.stringify({ error: { code, message } })}\n`);
  terminal.fail(verb === "" ? message : `${verb}: ${message}`);
  if (process.env.VMCOPY_DEBUG === "1") console.error(error);
  return exitCode;
}

function described(error: unknown): { code: string; message: string; exitCode: number } {
  if (error instanceof VmcopyError) return error;
  if (error instanceof LibcError) return { code: "E_IO", message: error.message, exitCode: EXIT_FAILED };
  if (error instanceof CommanderError) {
    const message = error.message.replace(/^error: /, "").replaceAll("\n", " ");
    const wanted = message === "(outputHelp)" ? "a command is missing" : message;
    return { code: "E_USAGE", message: `${wanted}; see vmcopy --help`, exitCode: EXIT_FAILED };
  }
  const text = error instanceof Error ? error.message : String(error);
  return {
    code: "E_INTERNAL",
    message: `${text} (this should not happen: run again with VMCOPY_DEBUG=1 and report what it prints)`,
    exitCode: EXIT_FAILED,
  };
}

/** Another program by its name, or vmcopy. @returns the exit code */
async function run(name: string, args: string[]): Promise<number> {
  const isOwn = (word: string) => Object.hasOwn(VERBS, word) || word.startsWith("-");
  const personality = personalityOf(name, args, isOwn);
  if (personality === undefined) return await main(args);
  try {
    return await (await personality.load())(await Libc.load(), personality.args);
  } catch (error) {
    return report(error, "", false);
  }
}

// argv[0] of a compiled program is the runtime's name; argv0 is what it was called by.
process.exitCode = await run(process.argv0, process.argv.slice(2));
// Signal handlers would keep the process alive in some runtimes.
process.exit();
