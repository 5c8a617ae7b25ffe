/**
 * Settings in a file, /etc/vmcopy.toml: `to = "/dev/vdb:/crash"`, `level = 31`, `final = "reboot"`. A mistake in it is
 * told, and costs no more than the line it stands in.
 */
import { readFileSync } from "node:fs";
import { parse } from "smol-toml";

export const DEFAULT_CONFIG = "/etc/vmcopy.toml";

/** @param isWanted somebody named it: that it is missing is worth a line */
export function fileSettings(
  path: string,
  isWanted: boolean,
): { values: Map<string, string>; warnings: string[] } {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const isMissing = (error as { code?: string }).code === "ENOENT";
    const warnings = isMissing && !isWanted ? [] : [`${path} is passed over: ${(error as Error).message}`];
    return { values: new Map(), warnings };
  }
  return tomlSettings(text, path);
}

/** @param path what to call the file in a line */
export function tomlSettings(
  text: string,
  path: string,
): { values: Map<string, string>; warnings: string[] } {
  const warnings: string[] = [];
  let table: Record<string, unknown> = {};
  try {
    table = parse(text);
  } catch {
    // Line by line: what can be understood is.
    for (const [index, line] of text.split("\n").entries()) {
      try {
        table = { ...table, ...parse(line) };
      } catch (error) {
        const reason = (error as Error).message.split("\n")[0]?.replace("Invalid TOML document: ", "");
        warnings.push(`${path}, line ${index + 1}, is passed over: ${reason}`);
      }
    }
  }
  const values = new Map<string, string>();
  for (const [name, value] of Object.entries(table)) {
    const asText = textOf(value);
    if (asText !== undefined) values.set(name, asText);
    else
      warnings.push(
        `${path}: ${name} is passed over: a text, a number, yes or no, or a list of texts is expected`,
      );
  }
  return { values, warnings };
}

function textOf(value: unknown): string | undefined {
  if (["string", "number", "bigint", "boolean"].includes(typeof value)) return String(value);
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value.join(",");
  return undefined;
}
