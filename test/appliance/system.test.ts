// The kernel's own file systems, by a kernel that mounts nothing really.
import { expect, it } from "bun:test";
import { mountKernelFileSystems } from "../../src/appliance/system.ts";
import { injected, libc } from "../support/files.ts";

function textAt(address: number): string {
  const bytes = new Uint8Array(libc.backend.view(address, 256));
  return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
}

it("are mounted at their places; what is there already is no failure, what fails keeps no other from it", () => {
  const errors: Record<string, string> = { proc: "EBUSY", sysfs: "EPERM" };
  const mounted: string[] = [];
  const through = injected({
    mount: (call) => {
      const [source = 0, place = 0, type = 0] = call.args;
      expect(textAt(source)).toBe(textAt(type));
      mounted.push(`${textAt(type)} ${textAt(place)}`);
      const error = errors[textAt(type)];
      return error === undefined ? 0 : call.fail(error);
    },
    mkdir: (call) => call.fail("EROFS"),
  });
  expect(mountKernelFileSystems(through)).toEqual(["Cannot mount sysfs: operation not permitted (EPERM)"]);
  expect(mounted).toEqual(["proc /proc", "sysfs /sys", "devtmpfs /dev"]);
});
