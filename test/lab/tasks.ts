// What drgn finds in a dump, where it is enough that it finds something: the tasks, of which any kernel has dozens.

import { join } from "node:path";
import { run } from "./run.ts";

/** @param symbols the path of its vmlinux */
export async function tasksIn(dump: string, symbols: string): Promise<number> {
  const command = ["drgn", "-q", "-c", dump, "-s", symbols, join(import.meta.dir, "tasks.py")];
  return Number(await run("open the dump with drgn", command));
}
