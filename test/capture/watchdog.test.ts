// The watchdog, with a file or a FIFO in its place: fed by the work and by nothing else, stopped with a V.
import { beforeAll, describe, expect, it } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { WDIOC_GETTIMEOUT } from "../../ffi/constants.ts";
import { FeedingJob } from "../../src/capture/feeding.ts";
import { Watchdog } from "../../src/capture/watchdog.ts";
import { capture, stepsOf } from "../support/captures.ts";
import { testJob } from "../support/engines.ts";
import { injected, libc, temporaryFolder } from "../support/files.ts";
import { withNames } from "../support/inject-names.ts";
import { shell, shellLine } from "../support/program.ts";
import { writeSampleFile } from "../support/sample.ts";

const path = temporaryFolder();
const source = path("source");
const device = path("watchdog");
beforeAll(() => {
  writeSampleFile(source, { size: 8 << 20 });
});

/** What was written to it: a dot for food. */
const eaten = () => readFileSync(device, "latin1").replaceAll("\0", ".");

describe("a watchdog", () => {
  it("is fed from the job's calls, twice a second, and from nothing between them", async () => {
    writeFileSync(device, "");
    const { now } = performance;
    let time = 1000;
    performance.now = () => time;
    try {
      const watchdog = Watchdog.open(libc, device);
      const job = new FeedingJob(testJob());
      job.add(watchdog);
      expect(eaten()).toBe(".");
      for (let step = 0; step < 10; step++) {
        time += 100;
        job.update(step);
      }
      expect(eaten()).toBe("...");
      time += 10_000;
      await Bun.sleep(20);
      expect(eaten()).toBe("...");
      await job.breathe();
      expect(eaten()).toBe("....");
      watchdog.stop();
      expect(eaten()).toBe("....V");
    } finally {
      performance.now = now;
    }
  });

  it("says after how many seconds it resets the machine, where it knows", () => {
    writeFileSync(device, "");
    const watchdog = Watchdog.open(libc, device);
    expect(watchdog.timeout).toBeUndefined();
    watchdog.stop();
    const through = injected({
      ioctl: (call) => {
        expect(call.args[1]).toBe(WDIOC_GETTIMEOUT);
        through.structureView.setInt32(0, 60, true);
        return 0;
      },
    });
    const other = Watchdog.open(through, device);
    expect(other.timeout).toBe(60);
    other.stop();
  });
});

describe("a capture", () => {
  it("feeds it, and stops it last of all but the end of the machine", async () => {
    writeFileSync(device, "");
    const atLine = new Map<string, string>();
    const { report } = await capture(
      path("crash"),
      source,
      { watchdog: device },
      {
        said: (line) => atLine.set(line.replace(/.*\] (\w+): .*/, "$1"), eaten()),
      },
    );
    expect(stepsOf(report).slice(-3)).toEqual(["sync", "watchdog", "final"]);
    expect(report.exitCode).toBe(0);
    expect(atLine.get("sync")).toMatch(/^\.+$/);
    expect(eaten()).toMatch(/^\.+V$/);
  });

  it("feeds it with each record of the log, and each old capture that goes", async () => {
    const old = path("old");
    for (const name of ["one", "two"]) await capture(old, source, { name });
    writeFileSync(device, "");
    const { now } = performance;
    let time = now.call(performance);
    // Every look at the clock is half a second later: whatever feeds is seen.
    performance.now = () => {
      time += 500;
      return time;
    };
    const atLine = new Map<string, number>();
    const said = (line: string) => {
      const [, name = ""] = /\] (\w+): /.exec(line) ?? [];
      if (!atLine.has(name)) atLine.set(name, eaten().length);
    };
    try {
      await capture(old, source, { watchdog: device, keep: 1 }, { said });
    } finally {
      performance.now = now;
    }
    const before = (name: string, other: string) =>
      (atLine.get(name) as number) - (atLine.get(other) as number);
    // A sample's log has 39 records.
    expect(before("read", "watchdog")).toBeGreaterThanOrEqual(39);
    expect(before("keep", "name")).toBe(3);
  });

  it("that fails stops it too", async () => {
    writeFileSync(device, "");
    await capture(path("crash"), path("none"), { watchdog: device });
    expect(eaten()).toMatch(/^\.+V$/);
  });

  it.each([
    ["that is not there", path("none"), /watchdog: Cannot open .*none: no such file/],
    ["that is a directory", path(""), /watchdog: Cannot open .*: is a directory/],
  ])("goes on without one %s", async (_, watchdog, message) => {
    const { report, lines } = await capture(path("crash"), source, { watchdog });
    expect(report).toMatchObject({ state: "complete", exitCode: 1 });
    expect(lines[0]).toMatch(message);
  });

  it("that cannot feed it says so", async () => {
    writeFileSync(device, "");
    const through = withNames({
      write: (call, real, name) =>
        name === device && call.nth === 1 ? call.fail("EIO") : real(...call.args),
    });
    const { report, lines } = await capture(path("crash"), source, { watchdog: device }, { through });
    expect(report).toMatchObject({ state: "complete", exitCode: 1 });
    expect(lines.join("\n")).toMatch(
      /it could not be fed at times: Cannot write .*watchdog: input\/output error/,
    );
  });

  it("writes to a FIFO that somebody reads, as a program; stopped by SIGSTOP it does not", async () => {
    const fifo = path("fifo");
    // Stopped for two seconds in the middle: nothing may come in the second of them.
    const script = `
      mkfifo ${fifo}; exec 3<>${fifo}
      ${shellLine("sample", "--size", "250M", "-q", path("large"))}
      ${shellLine("capture", "--source", path("large"), "--to", path("crash"), "--watchdog", fifo, "-c", "zlib", "-d", "0", "-j", "1", "-q")} >/dev/null &
      until [ -e ${path("crash")}/*.incomplete/vmcore.incomplete ]; do sleep 0.05; done
      kill -STOP $!; sleep 1
      timeout 0.2 cat <&3 | wc -c
      sleep 1; timeout 0.2 cat <&3 | wc -c
      kill -CONT $!; wait $!; echo code $?
      timeout 0.2 cat <&3 | tr '\\0' . `;
    const { out } = await shell(script);
    const [before, stopped, code, after] = out.split("\n");
    expect(Number(before)).toBeGreaterThan(0);
    expect(Number(stopped)).toBe(0);
    expect(code).toBe("code 0");
    expect(after).toMatch(/^\.+V$/);
  });
});
