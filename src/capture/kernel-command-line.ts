/** Settings on the kernel's command line, `vmcopy.to=/dev/vdb:/crash`; quotation marks are taken off, as the kernel does. */
import { kernelParameters } from "../kernel-parameters.ts";

const PREFIX = "vmcopy.";

/** Settings by name, in their order; of one that is there twice the last counts. */
export function kernelSettings(commandLine: string): Map<string, string> {
  const settings = new Map<string, string>();
  for (const parameter of kernelParameters(commandLine).map(unquoted)) {
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

/** Without the mark at its start, and the one at its end that belongs to it. */
function unquoted(text: string): string {
  return text.startsWith('"') ? text.slice(1).replace(/"$/, "") : text;
}
