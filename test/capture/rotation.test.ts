// Old captures make way only for a whole new one; nothing else in the directory is touched.
import { beforeEach, describe, expect, it } from "bun:test";
import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { removeOld } from "../../src/capture/rotation.ts";
import { capture, listing, stepsOf } from "../support/captures.ts";
import { libc, temporaryFolder } from "../support/files.ts";
import { failingOn, withNames } from "../support/inject-names.ts";
import { writeSampleFile } from "../support/sample.ts";

const path = temporaryFolder();
const to = path("crash");
beforeEach(() => {
  rmSync(to, { recursive: true, force: true });
  mkdirSync(to);
});

/** A directory as a capture leaves it. @param day of its start */
function made(name: string, day: number, state = "complete", ...more: string[]): string {
  mkdirSync(join(to, name));
  const record = {
    format: "vmcopy-capture",
    state,
    started: `2026-01-${String(day).padStart(2, "0")}T00:00:00Z`,
  };
  writeFileSync(join(to, name, "capture.json"), JSON.stringify(record));
  for (const file of ["dmesg.txt", "vmcore", "vmcore.manifest.json", ...more])
    writeFileSync(join(to, name, file), "x");
  return name;
}

const left = () => readdirSync(to).sort();

describe("of captures", () => {
  it("the newest stay, by when they began and not by their names", () => {
    for (const [name, day] of [
      ["z", 1],
      ["a", 4],
      ["m", 2],
      ["k", 3],
    ] as const)
      made(name, day);
    made("new", 5);
    expect(removeOld(libc, to, "new", 3)).toEqual({ removed: ["m", "z"], problems: [] });
    expect(left()).toEqual(["a", "k", "new"]);
  });

  it("the new one stays, whatever the clock says", () => {
    made("old", 9);
    made("new", 1);
    expect(removeOld(libc, to, "new", 1).removed).toEqual(["old"]);
    expect(left()).toEqual(["new"]);
  });

  it("incomplete ones do not count, and go with what is older than the oldest that stays", () => {
    made("a.incomplete", 1, "running", "vmcore.incomplete");
    made("b", 2);
    made("c.incomplete", 3, "incomplete");
    made("d", 4, "log-only");
    made("new", 5);
    expect(removeOld(libc, to, "new", 2).removed).toEqual(["a.incomplete"]);
    expect(removeOld(libc, to, "new", 1).removed).toEqual(["d", "c.incomplete", "b"]);
  });
});

describe("what is no capture's", () => {
  it("stays: other directories, files, links, records that are none", () => {
    made("old", 1);
    made("new", 2);
    mkdirSync(join(to, "plain"));
    writeFileSync(join(to, "plain", "vmcore"), "mine");
    mkdirSync(join(to, "other"));
    writeFileSync(join(to, "other", "capture.json"), '{"format":"another"}');
    mkdirSync(join(to, "broken"));
    writeFileSync(join(to, "broken", "capture.json"), "{");
    writeFileSync(join(to, "file"), "x");
    mkdirSync(path("elsewhere"), { recursive: true });
    writeFileSync(
      path("elsewhere/capture.json"),
      JSON.stringify({ format: "vmcopy-capture", started: "2020" }),
    );
    symlinkSync(path("elsewhere"), join(to, "link"));
    expect(removeOld(libc, to, "new", 1)).toEqual({ removed: ["old"], problems: [] });
    expect(left()).toEqual(["broken", "file", "link", "new", "other", "plain"]);
    expect(readdirSync(path("elsewhere"))).toEqual(["capture.json"]);
  });

  it("keeps a capture that it lies in, and that is told", () => {
    made("old", 1, "complete", "notes.txt");
    made("new", 2);
    expect(removeOld(libc, to, "new", 1)).toEqual({
      removed: [],
      problems: ["old stays: it holds notes.txt, which is not of a capture"],
    });
    expect(listing(to).old).toContain("vmcore");
  });

  it("a capture that another program is at work in stays", async () => {
    made("busy.incomplete", 1, "running");
    made("new", 2);
    const other = Bun.spawn([
      "flock",
      "-n",
      join(to, "busy.incomplete"),
      "sh",
      "-c",
      "echo locked; exec sleep 30",
    ]);
    for await (const _ of other.stdout) break;
    const { removed, problems } = removeOld(libc, to, "new", 1);
    other.kill();
    await other.exited;
    expect(removed).toEqual([]);
    expect(problems).toEqual(["busy.incomplete stays: a capture is at work in it"]);
  });

  it("a rest of one that was cut off while it went is no capture, and goes next time", () => {
    made("old", 1);
    made("new", 2);
    const through = withNames({ unlink: failingOn("dmesg.txt", "EIO") });
    expect(() => removeOld(through, to, "new", 1)).toThrow(/Cannot remove .*dmesg.txt: input\/output error/);
    expect(listing(to)).toMatchObject({ "old.incomplete": ["capture.json", "dmesg.txt"] });
    expect(removeOld(libc, to, "new", 1).removed).toEqual(["old.incomplete"]);
  });
});

describe("a capture", () => {
  const source = path("source");

  it("takes old ones away once it has its name, never before, and never where it fails", async () => {
    writeSampleFile(source, { size: 8 << 20 });
    made("a", 1);
    made("b", 2);
    const failing = withNames({ open: failingOn("vmcore.incomplete", "EIO") });
    const failed = await capture(to, source, { name: "failed", keep: 1 }, { through: failing });
    expect(failed.report).toMatchObject({ state: "log-only", removed: [] });
    const unnamed = withNames({ rename: failingOn("/unnamed", "EIO") });
    await capture(to, source, { name: "unnamed", keep: 1 }, { through: unnamed });
    expect(left()).toEqual(["a", "b", "failed", "unnamed.incomplete"]);

    const { report } = await capture(
      to,
      source,
      { name: "new", keep: 2 },
      {
        said: (line) => {
          if (/\] (log|dump|verify|name): /.test(line)) expect(left()).toContain("a");
        },
      },
    );
    expect(stepsOf(report).slice(-4)).toEqual(["name", "keep", "sync", "final"]);
    expect(report.removed).toContain("a");
    expect(left()).toContain("new");
    // Those without a dump are newer than b, and stay with it.
    expect(left()).toEqual(["b", "failed", "new", "unnamed.incomplete"]);
  });
});
