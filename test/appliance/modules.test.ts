// Modules in their order, with their parameters; what the kernel says of each.
import { describe, expect, it } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MODULE_INIT_COMPRESSED_FILE, SYS_finit_module } from "../../ffi/constants.ts";
import { listed, loadModules } from "../../src/appliance/modules.ts";
import { injected, libc, temporaryFolder } from "../support/files.ts";

const path = temporaryFolder();
const directory = path("modules");

function modules(files: readonly string[], order?: string): void {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory);
  for (const name of files) writeFileSync(join(directory, name), "");
  if (order !== undefined) writeFileSync(join(directory, "order"), order);
}

/** Loads them by a kernel that gives these errors, by the call they are for. */
function load(errors: Record<number, string> = {}) {
  const calls: [parameters: string, flags: number][] = [];
  const through = injected({
    syscall: (call) => {
      const [number, , parameters = 0, flags = 0] = call.args;
      expect(number).toBe(SYS_finit_module);
      const text = new Uint8Array(libc.backend.view(parameters, 4096));
      calls.push([new TextDecoder().decode(text.subarray(0, text.indexOf(0))), flags]);
      const error = errors[call.nth];
      return error === undefined ? 0 : call.fail(error);
    },
  });
  let fed = 0;
  const loaded = loadModules(through, directory, () => fed++);
  return { ...loaded, calls, fed };
}

describe("the order", () => {
  it("is the file's, without comments and empty lines; parameters stand behind a name", () => {
    modules(["z.ko", "a.ko"], "# first\nz.ko\n\n a.ko  margin=60\tnowayout \n");
    expect(listed(directory)).toEqual([
      { file: "z.ko", parameters: "" },
      { file: "a.ko", parameters: "margin=60 nowayout" },
    ]);
  });

  it("is by name where there is no such file; other files are none", () => {
    modules(["b.ko.zst", "a.ko", "modules.dep", "c.ko.txt.old", "kodak"]);
    expect(listed(directory).map(({ file }) => file)).toEqual(["a.ko", "b.ko.zst"]);
  });

  it("of no directory is empty", () => {
    expect(listed(path("none"))).toEqual([]);
  });
});

describe("loading", () => {
  it("hands over parameters, and leaves what is compressed to the kernel", () => {
    modules(["a.ko", "b.ko.xz"], "b.ko.xz\na.ko margin=60\n");
    expect(load()).toEqual({
      names: ["b.ko.xz", "a.ko"],
      problems: [],
      calls: [
        ["", MODULE_INIT_COMPRESSED_FILE],
        ["margin=60", 0],
      ],
      fed: 2,
    });
  });

  it("one that is there already is no failure, one that fails keeps no other from it", () => {
    modules(["a.ko", "b.ko", "c.ko", "d.ko"], "a.ko\nb.ko\nnone.ko\nc.ko\nd.ko\n");
    const { names, problems, fed } = load({ 1: "EEXIST", 2: "ENOEXEC", 3: "ENOENT" });
    expect(names).toEqual(["a.ko", "d.ko"]);
    const at = (name: string) => join(directory, name);
    expect(problems).toEqual([
      `Cannot load module ${at("b.ko")}: exec format error (ENOEXEC); it is no module of this kernel`,
      `Cannot open ${at("none.ko")}: no such file or directory (ENOENT)`,
      `Cannot load module ${at("c.ko")}: no such file or directory (ENOENT); it needs what is in none before it in the order`,
    ]);
    expect(fed).toBe(5);
  });
});
