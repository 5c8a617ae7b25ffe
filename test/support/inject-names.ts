/** Rules for failing calls that know which file a call is about: its path, or what its descriptor was opened as. */
import type { Libc } from "../../ffi/libc.ts";
import { injected, libc } from "./files.ts";
import type { Call, Real, Rule, Rules } from "./inject.ts";

export type NamedRule = (call: Call, real: Real, name: string) => number;

/** libc whose rules are told names; for calls whose first argument is a path or a descriptor, the new name of a rename. */
export function withNames(rules: { readonly [Name in keyof Rules]?: NamedRule }): Libc {
  const names = new Map<number, string>();
  const open: Rule = (call, real) => {
    const name = textAt(call.args[0] as number);
    const fd = rules.open?.(call, real, name) ?? real(...call.args);
    names.set(fd, name);
    return fd;
  };
  const others = Object.entries(rules).map(([symbol, rule]): [string, Rule] => [
    symbol,
    (call, real) => {
      const first = call.args[0] as number;
      const isPath = ["mkdir", "unlink", "rmdir"].includes(symbol);
      const path = symbol === "rename" ? (call.args[1] as number) : isPath ? first : undefined;
      return rule(call, real, path === undefined ? (names.get(first) ?? "") : textAt(path));
    },
  ]);
  return injected({ ...Object.fromEntries(others), open });
}

/** Fails calls about files whose path ends so. */
export function failingOn(suffix: string, errno: string): NamedRule {
  return (call, real, name) => (name.endsWith(suffix) ? call.fail(errno) : real(...call.args));
}

function textAt(address: number): string {
  const bytes = new Uint8Array(libc.backend.view(address, 4096));
  return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
}
