// A guest that is frozen at a moment of its life, into a file, and thawed from there as often as wanted: what would be
// one boot each is a second. Its disks are not in the file: they have to hold what they held then.

import { existsSync } from "node:fs";
import { lines, type Machine, qemuCommand } from "./guest.ts";
import { Monitor, monitorDevice } from "./monitor.ts";

/** A guest that runs, or ran. */
export interface Guest {
  readonly console: AsyncGenerator<string>;
  /** Types a line at its console. */
  type(line: string): void;
  /** Pulls the plug. */
  kill(): Promise<void>;
}

function start(machine: Machine): Guest {
  const child = Bun.spawn(qemuCommand(machine, "stdio"), {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  return {
    console: lines(child.stdout),
    type: (line) => {
      child.stdin.write(`${line}\n`);
      child.stdin.flush();
    },
    kill: async () => {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

/**
 * Runs a machine until a line of its console, and freezes it there.
 *
 * @param path of the file it is frozen into; beside it the monitor's socket is made
 * @throws Error with the console where the line does not come in time
 */
export async function freeze(
  machine: Machine,
  path: string,
  until: string,
  timeoutSeconds = 120,
): Promise<void> {
  const socket = `${path}.monitor`;
  const devices = [...(machine.devices ?? []), ...monitorDevice(socket)];
  const guest = start({ ...machine, devices });
  const timer = setTimeout(() => guest.kill(), timeoutSeconds * 1000);
  const seen: string[] = [];
  try {
    for await (const line of guest.console) {
      seen.push(line);
      if (line === until) break;
    }
    if (seen.at(-1) !== until) throw new Error(`Cannot freeze a guest: ${seen.slice(-5).join("\n")}`);
    const monitor = await Monitor.open(socket);
    // One that was stopped by hand before would be still when it is thawed.
    await monitor.run("migrate", { uri: `exec:cat > '${path}'` });
    for (;;) {
      const { status } = (await monitor.run("query-migrate")) as { status: string };
      if (status === "completed") break;
      if (status === "failed") throw new Error("Cannot freeze a guest: qemu cannot migrate it");
      await Bun.sleep(50);
    }
    monitor.close();
  } finally {
    clearTimeout(timer);
    await guest.kill();
  }
}

/** Starts a machine as it was when it was frozen; its disks may be others of the same size. */
export function thaw(machine: Machine, path: string): Guest {
  if (!existsSync(path)) throw new Error(`Cannot thaw a guest: there is none (${path})`);
  return start({ ...machine, devices: [...(machine.devices ?? []), "-incoming", `exec:cat '${path}'`] });
}
