/** A SHA-256 in the manifest is held against the dump: one that is right, and one that is not. */
import { expect, it } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { decodeManifest, encodeManifest } from "../../src/dump/manifest.ts";
import { copy, failure, sha256, verify } from "../support/engines.ts";
import { temporaryFolder } from "../support/files.ts";
import { shell } from "../support/program.ts";
import { PLAIN } from "../support/shapes.ts";
import { buildVmcore } from "../support/vmcores.ts";

const path = temporaryFolder();

it("is the whole dump's, holes and all", async () => {
  const source = path("source");
  const dump = path("dump");
  writeFileSync(source, buildVmcore({ ...PLAIN, zeroPage: (page) => page % 5 < 3, tail: 77 }).bytes);
  await copy({ source, dest: dump, sha256: true });
  const sealed = readFileSync(`${dump}.manifest.json`);
  const manifest = decodeManifest(sealed, "manifest");
  expect(manifest.sha256).toBe(sha256(source));
  expect((await verify(dump)).ok).toBe(true);

  const other = manifest.sha256?.replace(/^./, (digit) => (digit === "0" ? "1" : "0")) ?? "";
  writeFileSync(`${dump}.manifest.json`, encodeManifest({ ...manifest, sha256: other }));
  const { ok, mismatches, problems } = await verify(dump);
  expect([ok, mismatches, problems]).toEqual([false, [], ["its SHA-256 is not the one in its manifest"]]);
});

it("a FIFO is no dump: refused at once", async () => {
  const fifo = path("fifo");
  await shell(`mkfifo ${fifo}`);
  expect(await failure(verify(fifo))).toMatchObject({ code: "E_NOT_VMCORE", exitCode: 2 });
});
