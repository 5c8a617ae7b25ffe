/** What `vmcopy install` says to people. */
import { difference } from "../install/difference.ts";
import { contentOf, type FileState, type Planned } from "../install/plan.ts";
import { formatSize } from "../units.ts";

const DONE: Record<FileState, string> = {
  written: "written",
  replaced: "replaced",
  same: "there already",
  kept: "KEPT as it is",
};
const WOULD: Record<FileState, string> = {
  ...DONE,
  written: "to write",
  replaced: "to replace",
  kept: "to keep as it is",
};

/** One line a file; where nothing is done, what it would hold or what is different there. */
export function installText(
  planned: readonly Planned[],
  { dryRun, program, next }: { dryRun: boolean; program: Uint8Array; next: readonly string[] },
): string {
  const words = dryRun ? WOULD : DONE;
  const lines = planned.flatMap((plan) => {
    const { item, state } = plan;
    const what = item.kind === "link" ? `-> ${item.target}` : item.mode.toString(8).padStart(4, "0");
    const size = item.kind === "program" ? `, ${formatSize(program.length)}` : "";
    const line = `${item.path} (${what}${size}): ${words[state]}`;
    return dryRun ? [line, ...content(plan, program).map((text) => `    ${text}`.trimEnd())] : [line];
  });
  if (!dryRun) lines.push(...next.map((line) => `next: ${line}`));
  return `${lines.join("\n")}\n`;
}

function content({ item, state, found }: Planned, program: Uint8Array): string[] {
  if (item.kind !== "text" || state === "same") return [];
  const text = String(contentOf(item, program)).trimEnd();
  if (found.kind === "file") return difference(Buffer.from(found.bytes).toString().trimEnd(), text);
  return text.split("\n");
}

const REMOVED: Record<string, string> = {
  removed: "removed",
  shared: "stays, another integration needs it",
  gone: "gone already",
  kept: "KEPT as it is",
};

export function removalText(
  files: readonly { path: string; state: string }[],
  problems: readonly string[],
  name: string | undefined,
  dryRun: boolean,
): string {
  if (files.length === 0) return `${name ?? "nothing"} is not installed: there is nothing to remove\n`;
  const word = (state: string) => (dryRun && state === "removed" ? "to remove" : REMOVED[state]);
  return [...files.map(({ path, state }) => `${path}: ${word(state)}`), ...problems, ""].join("\n");
}
