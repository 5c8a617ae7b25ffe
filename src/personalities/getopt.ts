/**
 * Command lines as GNU getopt_long(3) reads them: bundled short options (-ld31), arguments joined or apart, long names
 * cut short where only one fits, options and operands in any order, and nothing but operands behind --.
 */

/** An option by its names. */
export interface OptionSpec {
  readonly short?: string;
  readonly long?: string;
  readonly takesArgument?: boolean;
}

/** One option as it was given, in order. */
export interface GivenOption<Name extends string> {
  readonly name: Name;
  /** undefined where it takes none */
  readonly argument: string | undefined;
}

export interface Parsed<Name extends string> {
  readonly options: readonly GivenOption<Name>[];
  readonly operands: readonly string[];
  /** what getopt says of the first option that cannot be; those before it are in `options` */
  readonly problem?: string;
}

/** Reads a command line. @param specs the options by a name of the caller's own */
export function getopt<Name extends string>(
  args: readonly string[],
  specs: Readonly<Record<Name, OptionSpec>>,
): Parsed<Name> {
  const options: GivenOption<Name>[] = [];
  const operands: string[] = [];
  const names = Object.keys(specs) as Name[];
  const result = { options, operands };
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] as string;
    if (arg === "--") {
      operands.push(...args.slice(at + 1));
      break;
    }
    if (!arg.startsWith("-") || arg === "-") {
      operands.push(arg);
    } else if (arg.startsWith("--")) {
      const [given, value] = splitLong(arg);
      const found = longOption(names, specs, given);
      if (typeof found === "object") return { ...result, problem: found.problem };
      const takes = specs[found].takesArgument === true;
      const long = specs[found].long;
      if (!takes && value !== undefined)
        return { ...result, problem: `option '--${long}' doesn't allow an argument` };
      const argument = takes ? (value ?? args[++at]) : undefined;
      if (takes && argument === undefined)
        return { ...result, problem: `option '--${long}' requires an argument` };
      options.push({ name: found, argument });
    } else {
      for (let index = 1; index < arg.length; index++) {
        const letter = arg[index] as string;
        const found = names.find((name) => specs[name].short === letter);
        if (found === undefined) return { ...result, problem: `invalid option -- '${letter}'` };
        if (specs[found].takesArgument !== true) {
          options.push({ name: found, argument: undefined });
          continue;
        }
        const argument = index + 1 < arg.length ? arg.slice(index + 1) : args[++at];
        if (argument === undefined)
          return { ...result, problem: `option requires an argument -- '${letter}'` };
        options.push({ name: found, argument });
        break;
      }
    }
  }
  return result;
}

function splitLong(arg: string): [given: string, value: string | undefined] {
  const equals = arg.indexOf("=");
  return equals < 0 ? [arg.slice(2), undefined] : [arg.slice(2, equals), arg.slice(equals + 1)];
}

function longOption<Name extends string>(
  names: readonly Name[],
  specs: Readonly<Record<Name, OptionSpec>>,
  given: string,
): Name | { problem: string } {
  const exact = names.find((name) => specs[name].long === given);
  if (exact !== undefined) return exact;
  const [only, ...others] = names.filter((name) => specs[name].long?.startsWith(given));
  if (only === undefined) return { problem: `unrecognized option '--${given}'` };
  if (others.length === 0) return only;
  const possible = [only, ...others].map((name) => `'--${specs[name].long}'`).join(" ");
  return { problem: `option '--${given}' is ambiguous; possibilities: ${possible}` };
}
