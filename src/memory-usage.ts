/** This process's memory, and the machine's, from /proc. */
import { readFileSync } from "node:fs";

export interface MemoryUsage {
  /** the most that was ever resident, bytes */
  readonly peakRss: number;
  /** anonymous memory that is resident now, bytes */
  readonly anonymous: number;
  /** page tables, bytes */
  readonly pageTables: number;
}

/** What /proc/self/status says; zeros where it cannot be read. */
export function memoryUsage(): MemoryUsage {
  const text = readProc("/proc/self/status");
  return {
    peakRss: field(text, "VmHWM"),
    anonymous: field(text, "RssAnon"),
    pageTables: field(text, "VmPTE"),
  };
}

/** Memory that programs can still have without swapping, bytes; 0 where it is not known. */
export function availableMemory(): number {
  return field(readProc("/proc/meminfo"), "MemAvailable");
}

/** The most anonymous memory and the least available that were seen, asked for at most every 100 ms. */
export class MemoryExtremes {
  #anonymous = 0;
  #available = Number.POSITIVE_INFINITY;
  #next = 0;

  sample(now = performance.now()): void {
    if (now < this.#next) return;
    this.#next = now + 100;
    this.#look();
  }

  /** bytes */
  get anonymous(): number {
    this.#look();
    return this.#anonymous;
  }

  /** bytes that programs could still have had; 0 where it is not known */
  get leastAvailable(): number {
    this.#look();
    return this.#available;
  }

  #look(): void {
    this.#anonymous = Math.max(this.#anonymous, memoryUsage().anonymous);
    this.#available = Math.min(this.#available, availableMemory());
  }
}

function readProc(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function field(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0) * 1024;
}
