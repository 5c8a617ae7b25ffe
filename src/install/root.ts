/** A system that files are put into, `/` or another directory: its paths, and what is at them. */
import { lstatSync, readFileSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { dirname, join, sep } from "node:path";
import { VmcopyError } from "../errors.ts";
import { digestOf } from "./record.ts";

/** What is at a path. */
export type Found =
  | { readonly kind: "nothing" }
  | { readonly kind: "file"; readonly digest: string; readonly bytes: Uint8Array }
  | { readonly kind: "link"; readonly digest: string; readonly target: string }
  | { readonly kind: "other" };

export class Root {
  readonly #real: string;

  /** @throws VmcopyError E_USAGE where it is no directory */
  constructor(readonly path: string) {
    try {
      if (!statSync(path).isDirectory())
        throw new VmcopyError("E_USAGE", this.#refusal("it is no directory"));
    } catch (error) {
      if (error instanceof VmcopyError) throw error;
      const { code } = error as { code?: string };
      throw new VmcopyError("E_USAGE", this.#refusal(code === "ENOENT" ? "there is none" : String(code)));
    }
    this.#real = realpathSync(path);
  }

  #refusal(reason: string): string {
    return `Cannot use ${this.path} as a root directory: ${reason}; name the directory that the system is in (--root DIR)`;
  }

  /**
   * A path below the root as one of this system.
   *
   * @throws VmcopyError E_USAGE where links of the root lead out of it: another system's files are at stake
   */
  place(path: string): string {
    const place = join(this.path, path);
    const parent = this.#nearest(dirname(place));
    if (
      parent !== this.#real &&
      !parent.startsWith(this.#real.endsWith(sep) ? this.#real : this.#real + sep)
    ) {
      throw new VmcopyError(
        "E_USAGE",
        `Cannot install ${place}: a link there leads out of ${this.path}, to ${parent}; run it inside (chroot ${this.path})`,
      );
    }
    return place;
  }

  /** The real path of the nearest directory that exists. */
  #nearest(path: string): string {
    try {
      return realpathSync(path);
    } catch (error) {
      if ((error as { code?: string }).code !== "ENOENT" || path === dirname(path)) throw error;
      return this.#nearest(dirname(path));
    }
  }

  look(path: string): Found {
    const place = this.place(path);
    const status = lstatSync(place, { throwIfNoEntry: false });
    if (status === undefined) return { kind: "nothing" };
    if (status.isSymbolicLink()) {
      const target = readlinkSync(place);
      return { kind: "link", digest: digestOf(target), target };
    }
    if (!status.isFile()) return { kind: "other" };
    const bytes = readFileSync(place);
    return { kind: "file", digest: digestOf(bytes), bytes };
  }

  /** Whether one of the paths is there. */
  hasAny(paths: readonly string[]): boolean {
    return paths.some((path) => lstatSync(join(this.path, path), { throwIfNoEntry: false }) !== undefined);
  }
}
