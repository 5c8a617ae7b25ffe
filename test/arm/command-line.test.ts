/** The crash kernel's command line. */
import { describe, expect, it } from "bun:test";
import { crashCommandLine, rootfsOf } from "../../src/arm/command-line.ts";

const RUNNING =
  'BOOT_IMAGE=/vmlinuz-6.1 root=/dev/sda1 ro console=tty0 quiet "dyndbg=file a.c +p" console=ttyS0,115200n8 crashkernel=256M hugepages=512';
const KDUMP =
  "irqpoll nr_cpus=1 reset_devices panic=10 cgroup_disable=memory transparent_hugepage=never novmcoredd rootfstype=ramfs";
const X86 = "mce=off numa=off acpi_no_memhotplug hest_disable";

describe("crash command line", () => {
  it("the running kernel's consoles, in their order, and what kdump needs", () => {
    expect(crashCommandLine({ reuse: false }, RUNNING, "x64")).toBe(
      `console=tty0 console=ttyS0,115200n8 ${KDUMP} ${X86}`,
    );
    expect(crashCommandLine({ reuse: false }, "quiet", "arm64")).toBe(KDUMP);
  });

  it("--append comes last, where it wins", () => {
    expect(crashCommandLine({ reuse: false, append: ' panic=1 vmcopy.name="a b"' }, "", "arm64")).toBe(
      `${KDUMP} panic=1 vmcopy.name="a b"`,
    );
  });

  it("--reuse-command-line: all but what is about the running kernel alone", () => {
    expect(crashCommandLine({ reuse: true, append: "x=1" }, RUNNING, "arm64")).toBe(
      `root=/dev/sda1 ro console=tty0 quiet "dyndbg=file a.c +p" console=ttyS0,115200n8 ${KDUMP} x=1`,
    );
  });

  it("--command-line is all of it, in one line", () => {
    expect(crashCommandLine({ reuse: false, text: "a=1\n b" }, RUNNING, "x64")).toBe("a=1 b");
  });
});

describe("the first file system, as init_rootfs() decides", () => {
  it.each<[string, string]>([
    ["", "tmpfs"],
    ["quiet", "tmpfs"],
    ["root=/dev/sda1", "ramfs"],
    ["root=", "tmpfs"],
    ["rootfstype=ramfs", "ramfs"],
    ["rootfstype=ext4", "ramfs"],
    ["rootfstype=ext4,tmpfs root=/dev/sda1", "tmpfs"],
    ["rootfstype=tmpfs rootfstype=ramfs", "ramfs"],
    ["xroot=/dev/sda1", "tmpfs"],
  ])("%p: %s", (line, type) => {
    expect(rootfsOf(line)).toBe(type as "ramfs" | "tmpfs");
  });
});
