/**
 * Settings on the kernel's command line, `vmcopy.to=/dev/vdb:/crash`, read as the kernel reads its own (next_arg() in
 * lib/cmdline.c): parameters are apart by spaces, double quotation marks hold spaces together and are taken off.
 */

const PREFIX = "vmcopy.";

/** Settings by name, in their order; of one that is there twice the last counts. */
export function kernelSettings(commandLine: string): Map<string, string> {
  const settings = new Map<string, string>();
  for (const parameter of parameters(commandLine.trim())) {
    if (!parameter.startsWith(PREFIX)) continue;
    const equals = parameter.indexOf("=");
    const name = parameter.slice(PREFIX.length, equals < 0 ? undefined : equals);
    const value = equals < 0 ? "" : unquoted(parameter.slice(equals + 1));
    // Entered anew, so that it is behind what it takes the place of.
    settings.delete(name);
    settings.set(name, value);
  }
  return settings;
}

function* parameters(line: string): Generator<string> {
  let from = 0;
  let isQuoted = false;
  for (let at = 0; at <= line.length; at++) {
    const character = line[at];
    if (character === '"') isQuoted = !isQuoted;
    if (character !== undefined && (isQuoted || !/\s/.test(character))) continue;
    if (at > from) yield unquoted(line.slice(from, at));
    from = at + 1;
  }
}

/** Without the mark at its start, and the one at its end that belongs to it. */
function unquoted(text: string): string {
  return text.startsWith('"') ? text.slice(1).replace(/"$/, "") : text;
}
