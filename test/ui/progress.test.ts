/** Progress, driven by a clock of its own: what is written when, and what never is. */
import { describe, expect, it } from "bun:test";
import { type ProgressOptions, startProgress } from "../../src/ui/progress.ts";

const MIB = 1024 ** 2;

/** A job whose time passes only when told. */
function job(options: Partial<ProgressOptions> = {}) {
  const written: string[] = [];
  const clock = { time: 1000 };
  const progress = startProgress({
    label: "copy",
    total: 100 * MIB,
    write: (text) => written.push(text),
    now: () => clock.time,
    isTerminal: true,
    columns: 80,
    ...options,
  });
  /** One MiB each 50 ms: 20 MiB a second, a 5 s job. */
  function run(from: number, to: number) {
    for (let mib = from; mib <= to; mib++) {
      clock.time += 50;
      progress.update(mib * MIB);
    }
  }
  return { written, clock, progress, run };
}

describe("on a terminal", () => {
  it("redraws one line: bar, percent, sizes, rate, ETA", () => {
    const { written, run, progress } = job();
    run(1, 50);
    expect(written.at(-1)).toBe(
      "\rcopy  [######......]   50.0 %    50 MiB of 100 MiB    20 MiB/s  ETA 3 s\x1b[K",
    );
    run(51, 100);
    progress.end();
    expect(written.at(-1)).toBe(
      "\rcopy  [############]  100.0 %   100 MiB of 100 MiB    20 MiB/s  in 5 s\x1b[K\n",
    );
    expect(written.slice(0, -1).join("")).not.toContain("\n");
  });

  it.each([40, 45, 52, 60, 80, 100, 132, 300])(
    "never reaches the last of %d columns, and never shifts",
    (columns) => {
      for (const unicode of [false, true]) {
        const { written, run, progress } = job({ columns, unicode });
        run(1, 100);
        progress.end();
        const lines = written.map((text) => text.replace("\r", "").replace("\x1b[K", "").trimEnd());
        for (const line of lines) {
          expect(line.length).toBeLessThan(columns);
          expect(line).toContain("%");
          expect(line.indexOf("%")).toBe(lines[0]?.indexOf("%") ?? -1);
        }
      }
    },
  );

  it("draws at most ten times a second however often it is called", () => {
    const { written, clock, progress } = job();
    for (let call = 0; call < 50_000; call++) {
      clock.time += 0.1;
      progress.update(call * 1000);
    }
    expect(written.length).toBeGreaterThan(40);
    expect(written.length).toBeLessThanOrEqual(50);
  });

  it("prints a note above the bar and draws the bar again", () => {
    const { written, run, progress } = job();
    run(1, 20);
    written.length = 0;
    progress.note("cannot read 4 KiB at 0x1000\x1b[2J");
    expect(written[0]).toBe("\r\x1b[Kcannot read 4 KiB at 0x1000?[2J\n");
    expect(written[1]).toStartWith("\rcopy  [");
    expect(written).toHaveLength(2);
  });

  it("follows a rate that changes, and is honest about the whole at the end", () => {
    const { written, clock, progress } = job({ total: 1000 * MIB });
    let done = 0;
    const run = (seconds: number, mibPerSecond: number) => {
      for (let tick = 0; tick < seconds * 10; tick++) {
        clock.time += 100;
        done += (mibPerSecond / 10) * MIB;
        progress.update(done);
      }
    };
    run(5, 100);
    expect(written.at(-1)).toContain("100 MiB/s  ETA 5 s");
    run(20, 10);
    expect(Number(/(\d+) MiB\/s/.exec(written.at(-1) ?? "")?.[1])).toBeLessThan(15);
    progress.end();
    expect(written.at(-1)).toContain("28 MiB/s  in 25 s"); // 700 MiB in 25 s
    expect(written.at(-1)).toContain("70.0 %");
  });

  it("does not count what a resumed copy had already", () => {
    const { written, run } = job({ already: 50 * MIB });
    run(51, 75);
    expect(written.at(-1)).toContain("74.0 %");
    expect(written.at(-1)).toContain("20 MiB/s  ETA 1 s");
  });

  it("goes without percent and bar where the total is not known", () => {
    const { written, run, progress } = job({ total: undefined });
    run(1, 20);
    progress.end();
    expect(written.at(-2)).toBe("\rcopy    20 MiB    20 MiB/s  1 s\x1b[K");
  });

  it("colours the bar without changing its width", () => {
    const draw = (colours: boolean) => {
      const { written, run } = job({ colours, unicode: true });
      run(1, 40);
      return written.at(-1) ?? "";
    };
    expect(draw(true)).toContain("\x1b[32m");
    expect(Bun.stripANSI(draw(true))).toBe(Bun.stripANSI(draw(false)));
  });
});

describe("on a serial console or in a log", () => {
  const consoles: [string, Partial<ProgressOptions>][] = [
    ["not a terminal", { isTerminal: false }],
    ["a terminal without a width", { isTerminal: true, columns: 0 }],
    ["a terminal too narrow", { isTerminal: true, columns: 30 }],
    ["even with colours", { isTerminal: false, colours: true, unicode: true }],
  ];
  it.each(consoles)("writes plain lines: %s", (_, options) => {
    const { written, clock, progress, run } = job(options);
    run(1, 100);
    progress.note("cannot read 4 KiB at 0x1000");
    clock.time += 20_000;
    progress.update(100 * MIB);
    progress.end();
    expect(written.join("")).toMatch(/^[\x20-\x7e\n]+$/);
    expect(written).toEqual([
      "copy: 6.0 %, 6 MiB of 100 MiB, 20 MiB/s, ETA 5 s\n",
      "cannot read 4 KiB at 0x1000\n",
      "copy: 100.0 %, 100 MiB of 100 MiB, 3.8 MiB/s, ETA 0 s\n",
      "copy: 100.0 %, 100 MiB of 100 MiB, 4 MiB/s, in 25 s\n",
    ]);
  });

  it("writes a line every five seconds", () => {
    const { written, clock, progress } = job({ isTerminal: false });
    for (let tick = 0; tick < 600; tick++) {
      clock.time += 100;
      progress.update(tick);
    }
    expect(written).toHaveLength(12);
  });
});

describe("silence", () => {
  it.each([true, false])("says nothing of a job shorter than 0.3 s (terminal: %p)", (isTerminal) => {
    const { written, run, progress } = job({ isTerminal });
    run(1, 5);
    progress.end();
    expect(written).toEqual([]);
  });

  it("when quiet writes notes only", () => {
    const { written, run, progress } = job({ quiet: true });
    run(1, 50);
    progress.note("one page could not be read");
    run(51, 100);
    progress.end();
    expect(written).toEqual(["one page could not be read\n"]);
  });

  it("writes nothing more after the end, but notes", () => {
    const { written, run, progress } = job();
    run(1, 50);
    progress.end();
    const length = written.length;
    progress.end();
    run(51, 100);
    expect(written).toHaveLength(length);
    progress.note("later");
    expect(written.at(-1)).toBe("later\n");
  });

  it.each([
    [0, 0],
    [10, 20],
  ])("bears a total of %d with %d done", (total, done) => {
    const { written, clock, progress } = job({ total });
    clock.time += 500;
    progress.update(done);
    expect(written[0]).toContain("100.0 %");
    expect(written[0]).toContain("############]");
  });
});
