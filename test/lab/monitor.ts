// A machine's monitor: qemu's machine protocol (QMP, a JSON object a line) over a socket. For what only the host can
// do: take memory from the guest, dump it from outside.

import { existsSync } from "node:fs";

/** The arguments that give a machine a monitor, at the path of a socket. */
export function monitorDevice(path: string): string[] {
  return ["-qmp", `unix:${path},server=on,wait=off`];
}

/** What qemu tells of by itself, such as SHUTDOWN or WATCHDOG. */
export interface MonitorEvent {
  readonly event: string;
  readonly data?: Record<string, unknown>;
}

type Answer = { return?: unknown; error?: { desc: string } };

export class Monitor {
  readonly #socket: Bun.Socket;
  readonly #answers: Answer[] = [];
  #wake = () => {};
  #rest = "";

  private constructor(
    socket: Bun.Socket,
    private readonly onEvent: (event: MonitorEvent) => void,
  ) {
    this.#socket = socket;
  }

  /** Connects to a machine that has just been started. */
  static async open(path: string, onEvent: (event: MonitorEvent) => void = () => {}): Promise<Monitor> {
    for (let tries = 0; !existsSync(path) && tries < 100; tries++) await Bun.sleep(100);
    let monitor: Monitor | undefined;
    const socket = await Bun.connect({
      unix: path,
      socket: { data: (_, data) => monitor?.read(data.toString()) },
    });
    monitor = new Monitor(socket, onEvent);
    await monitor.run("qmp_capabilities");
    return monitor;
  }

  /** Gives a command and waits for its end. @throws Error with qemu's words */
  async run(command: string, values: Record<string, unknown> = {}): Promise<unknown> {
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: values })}\n`);
    for (;;) {
      const answer = this.#answers.shift();
      if (answer === undefined) await new Promise<void>((resolve) => (this.#wake = resolve));
      else if (answer.error) throw new Error(`Cannot do ${command} in qemu: ${answer.error.desc}`);
      else if ("return" in answer) return answer.return;
    }
  }

  close(): void {
    this.#socket.end();
  }

  private read(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      const message: Answer | MonitorEvent = JSON.parse(line);
      if ("event" in message) this.onEvent(message);
      else this.#answers.push(message);
    }
    this.#wake();
  }
}
