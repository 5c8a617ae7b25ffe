// Names of captures: the crashed kernel's memory says what is in them, and may say anything.
import { describe, expect, it } from "bun:test";
import { checkTemplate, expandName } from "../../src/capture/template.ts";
import { Random } from "../support/random.ts";

const NOW = Date.UTC(2026, 10, 24, 15, 47, 35) / 1000;
const CRASH = {
  hostname: "db-7.example",
  release: "6.1.0-56-cloud-amd64",
  crashTime: "2026-11-24T15:40:01Z",
};

describe("a name", () => {
  it.each([
    ["%HOST-%DATE", CRASH, "db-7.example-2026-11-24-154735"],
    ["%HOST-%CRASHTIME-%RELEASE", CRASH, "db-7.example-2026-11-24-154001-6.1.0-56-cloud-amd64"],
    ["crash", CRASH, "crash"],
    ["%HOST%HOST", CRASH, "db-7.exampledb-7.example"],
    ["%HOST", { ...CRASH, hostname: "(none)" }, "localhost"],
    ["%HOST", { ...CRASH, hostname: "" }, "localhost"],
    ["%HOST", { ...CRASH, hostname: null }, "localhost"],
    ["%RELEASE", { ...CRASH, release: null }, "unknown"],
    ["%CRASHTIME", { ...CRASH, crashTime: null }, "2026-11-24-154735"],
    ["%HOST", { ...CRASH, hostname: "../../etc" }, "__.._etc"],
    ["%HOST", { ...CRASH, hostname: ".." }, "_"],
    ["%HOST", { ...CRASH, hostname: "a b\n\x1b[31m/ü" }, "a_b___31m__"],
    ["%HOST", { ...CRASH, hostname: "%DATE" }, "_DATE"],
  ])("%s of %p", (template, crash, name) => {
    expect(expandName(template, crash, NOW)).toBe(name);
  });

  it("is one name of a directory, whatever memory says", () => {
    const random = new Random(5);
    for (let round = 0; round < 500; round++) {
      const letters = Array.from({ length: random.below(400) }, () =>
        String.fromCharCode(random.below(0x3000)),
      );
      const name = expandName(
        "%HOST%RELEASE",
        { ...CRASH, hostname: letters.join(""), release: letters.join("") },
        NOW,
      );
      expect(name).toMatch(/^[A-Za-z0-9_+@=,][A-Za-z0-9._+@=,-]{0,199}$/);
    }
  });
});

it.each([["%FOO"], ["100%"], ["a/b"], [""], ["%HOSTNAME"]])("the template %p is refused", (template) => {
  expect(() => checkTemplate(template)).toThrow(RangeError);
});
