/** `vmcopy install`: vmcopy in a distribution's kdump set-up, out of this one file; and out of it again. */
import { LibcError } from "../../ffi/errno.ts";
import { EXIT_DATA, EXIT_OK, VmcopyError } from "../errors.ts";
import { hasTool, Installation } from "../install/install.ts";
import { INTEGRATIONS, type Integration, type IntegrationName } from "../install/integrations.ts";
import { planInstall } from "../install/plan.ts";
import { programBytes } from "../install/program.ts";
import { Root } from "../install/root.ts";
import type { Outcome, Verb } from "./command.ts";
import { installText, removalText } from "./install-text.ts";

const NAMES = Object.keys(INTEGRATIONS) as IntegrationName[];

export const install: Verb = {
  describe(command) {
    command
      .summary("put vmcopy into dracut, kdump-utils, kdump-tools or initramfs-tools")
      .description(
        "Writes what vmcopy needs to work with one of them, out of the program itself, and the program as /usr/bin/vmcopy. " +
          "Nobody's files are touched: where something else lies, or a file was changed since, it stays, and that is said.",
      )
      .usage("<dracut|kdump-utils|kdump-tools|initramfs-tools> [options]")
      .argument("[integration]", "which one; with --remove, all that are there unless one is named")
      .option("--root <dir>", "the system's root directory", "/")
      .option("--program <file>", "the program to install (default: this one)")
      .option("--dry-run", "show each file and what would become of it; touch nothing")
      .option("--remove", "take back what was installed, but for what was changed since")
      .addHelpText("after", HELP);
  },

  async run({ libc, terminal }, [name], options): Promise<Outcome> {
    const dryRun = options.dryRun === true;
    const wanted = name === undefined ? undefined : knownName(name);
    const root = new Root(String(options.root));
    try {
      const installation = new Installation(libc, root);
      if (options.remove === true) return remove(installation, wanted, dryRun);
      if (wanted === undefined)
        throw new VmcopyError("E_USAGE", `which one is to be installed? One of ${NAMES.join(", ")}`);
      const integration: Integration = INTEGRATIONS[wanted];
      const program = programBytes(options.program as string | undefined);
      const planned = planInstall(root, installation.record, integration, program);
      const warnings: string[] = [];
      if (!hasTool(root, integration)) {
        warnings.push(
          `there is no ${integration.tool.name} in ${root.path}: these files do nothing before it is installed`,
        );
      }
      if (!dryRun) installation.install(wanted, planned, program);
      const problems = planned.flatMap(({ item, state }) =>
        state === "kept" ? [keptLine(root, item.path)] : [],
      );
      for (const line of warnings) terminal.warn(line);
      for (const line of problems) terminal.fail(`install: ${line}`);
      return {
        exitCode: problems.length > 0 ? EXIT_DATA : EXIT_OK,
        json: {
          root: root.path,
          integration: wanted,
          action: "install",
          dryRun,
          files: planned.map(({ item, state }) => {
            const mode = item.kind === "link" ? null : item.mode.toString(8);
            const text = dryRun && item.kind === "text" ? { text: item.text } : {};
            return { path: item.path, kind: item.kind, mode, state, ...text };
          }),
          next: integration.next,
          warnings,
          problems,
        },
        text: installText(planned, { dryRun, program, next: integration.next }),
      };
    } catch (error) {
      throw withAdvice(error);
    }
  },
};

const HELP = `
dracut:           modules vmcopy and vmcopy-squash, for dracut --add
kdump-utils:      module vmcopy, and vmcopy in makedumpfile's place in its initramfs (Fedora, RHEL)
kdump-tools:      vmcopy in makedumpfile's place for its scripts (Debian, Ubuntu)
initramfs-tools:  a hook and boot scripts for a capture out of the initramfs (Debian, Ubuntu)

What was written is remembered in /usr/lib/vmcopy/installed.json.

Exit codes: 0 all is there (or gone), 1 something that was changed stays, 2 it could not be done.`;

function remove(installation: Installation, name: string | undefined, dryRun: boolean): Outcome {
  const { root } = installation;
  const names = name === undefined ? installation.names : [name];
  const files = installation.planRemoval(names);
  if (!dryRun) installation.remove(names, files);
  const problems = files
    .filter(({ state }) => state === "kept")
    .map(({ path }) => `${root.place(path)} is not as vmcopy wrote it: it stays, and is yours from now on`);
  return {
    exitCode: problems.length > 0 ? EXIT_DATA : EXIT_OK,
    json: { root: root.path, integration: name ?? null, action: "remove", dryRun, files, problems },
    text: removalText(files, problems, name, dryRun),
  };
}

function keptLine(root: Root, path: string): string {
  return `${root.place(path)} is not as vmcopy wrote it: it stays; to have vmcopy's, move it away and run this again`;
}

/** @throws VmcopyError E_USAGE */
function knownName(name: string): IntegrationName {
  const known = NAMES.find((each) => each === name);
  if (known !== undefined) return known;
  const close = NAMES.find((each) => distance(each, name) <= 3 || (name.length > 2 && each.startsWith(name)));
  const advice = close === undefined ? `one of ${NAMES.join(", ")} is expected` : `did you mean ${close}?`;
  throw new VmcopyError("E_USAGE", `there is no integration ${name}: ${advice}`);
}

/** Characters to add, remove or change (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, character] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...b].entries()) {
      const changed = (row[j] ?? 0) + Number(character !== other);
      next.push(Math.min(changed, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** What to do where the system may not be written to. */
function withAdvice(error: unknown): unknown {
  const code = error instanceof LibcError ? error.code : (error as { code?: string }).code;
  const advice = {
    EROFS: "mount it for writing, or name another root directory (--root DIR)",
    EACCES: "run this as root, or name another root directory (--root DIR)",
    EPERM: "run this as root, or name another root directory (--root DIR)",
    ENOSPC: "make room and run this again",
  }[code ?? ""];
  if (advice === undefined) return error;
  return new VmcopyError("E_IO", `${(error as Error).message}; ${advice}`);
}
