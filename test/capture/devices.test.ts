// Devices by what is on them: real file systems by their own mkfs, on loop devices. A partition by its name: test/lab.
import { afterEach, describe, expect, it } from "bun:test";
import { Libc } from "../../ffi/libc.ts";
import { findTagged, isTag } from "../../src/capture/devices.ts";
import { parsePlace } from "../../src/capture/target.ts";
import { temporaryFolder } from "../support/files.ts";
import { possible, shell } from "../support/program.ts";

const path = temporaryFolder();
const canLoop = possible(
  `truncate -s 8M ${path("try")} && device=$(losetup -f --show ${path("try")}) && losetup -d $device`,
);
const skipped = canLoop ? "" : " (skipped: loop devices need root)";
const libc = await Libc.load();
const UUID = "0c5b7de2-8f1a-4c3e-9d76-5b1e0a9f4c21";
const loops: string[] = [];

afterEach(async () => {
  for (const loop of loops.splice(0)) await shell(`losetup -d ${loop}`);
});

async function disk(mib: number, make: string): Promise<string> {
  const image = path(`image${loops.length}`);
  const script = `rm -f ${image}; truncate -s ${mib}M ${image} && ${make.replace("IMAGE", image)} >&2 && losetup -f --show ${image}`;
  const { out, err } = await shell(script);
  const device = out.trim();
  if (device === "") throw new Error(`Cannot make a disk: ${err}`);
  loops.push(device);
  return device;
}

describe.skipIf(!canLoop)(`a device is found${skipped}`, () => {
  it.each([
    ["ext4", 16, `mkfs.ext4 -q -U ${UUID} -L crash-ext IMAGE`, "crash-ext"],
    ["XFS", 320, `mkfs.xfs -q -m uuid=${UUID} -L crash-xfs IMAGE`, "crash-xfs"],
    [
      "Btrfs",
      128,
      `mkfs.btrfs -q -U ${UUID} -L crash-btrfs-of-a-long-name IMAGE`,
      "crash-btrfs-of-a-long-name",
    ],
  ])("by UUID and label of %s", async (_, mib, make, label) => {
    await disk(8, "mkfs.ext4 -q -L crash IMAGE");
    const device = await disk(mib, make);
    expect(findTagged(libc, `UUID=${UUID}`)).toBe(device);
    expect(findTagged(libc, `UUID=${UUID.toUpperCase()}`)).toBe(device);
    expect(findTagged(libc, `LABEL=${label}`)).toBe(device);
    expect(findTagged(libc, `LABEL=${label}-`)).toBeUndefined();
    expect(findTagged(libc, `LABEL=${label.slice(0, -1)}`)).toBeUndefined();
  });
});

describe("a tag", () => {
  it("stands where a device's path may", () => {
    expect(parsePlace("UUID=1234-ABCD:/crash")).toEqual({ device: "UUID=1234-ABCD", directory: "/crash" });
    expect(parsePlace("LABEL=my disk:")).toEqual({ device: "LABEL=my disk", directory: "/" });
  });

  it.each(["ID=1:/crash", "PARTUUID=1:/crash"])("of another kind is refused: %s", (text) => {
    expect(() => parsePlace(text)).toThrow("of devices, a path or UUID=, LABEL= or PARTLABEL= is expected");
  });

  it.each(["UUID=", "LABEL=/dev/vda", "/dev/vda", "LABEL=a:b"])("is not %s", (text) => {
    expect(isTag(text)).toBeFalse();
  });
});
