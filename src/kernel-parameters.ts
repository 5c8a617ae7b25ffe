/**
 * A kernel's command line taken apart as the kernel does it (next_arg() in lib/cmdline.c): parameters are apart by
 * spaces, double quotation marks hold spaces together.
 */

/** The parameters in their order, with their quotation marks. */
export function kernelParameters(commandLine: string): string[] {
  const line = commandLine.trim();
  const parameters: string[] = [];
  let from = 0;
  let isQuoted = false;
  for (let at = 0; at <= line.length; at++) {
    const character = line[at];
    if (character === '"') isQuoted = !isQuoted;
    if (character !== undefined && (isQuoted || !/\s/.test(character))) continue;
    if (at > from) parameters.push(line.slice(from, at));
    from = at + 1;
  }
  return parameters;
}
