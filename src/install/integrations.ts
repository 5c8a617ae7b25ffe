/**
 * What goes where, for each way to put vmcopy into a kdump set-up. The files' texts are those under dist/, taken into the
 * program when it is built.
 */

import dracutModule from "../../dist/dracut/99vmcopy/module-setup.sh" with { type: "text" };
import dracutCommandLine from "../../dist/dracut/99vmcopy/vmcopy-cmdline.sh" with { type: "text" };
import dracutDevice from "../../dist/dracut/99vmcopy/vmcopy-device.sh" with { type: "text" };
import kdump from "../../dist/dracut/99vmcopy/vmcopy-kdump" with { type: "text" };
import dracutLast from "../../dist/dracut/99vmcopy/vmcopy-last.sh" with { type: "text" };
import dracutSquash from "../../dist/dracut/99vmcopy-squash/module-setup.sh" with { type: "text" };
import hook from "../../dist/initramfs-tools/hooks/vmcopy" with { type: "text" };
import premount from "../../dist/initramfs-tools/scripts/init-premount/vmcopy" with { type: "text" };
import bottom from "../../dist/initramfs-tools/scripts/local-bottom/vmcopy" with { type: "text" };
import kdumpTools from "../../dist/kdump-tools/vmcopy.conf" with { type: "text" };
import kdumpUtils from "../../dist/kdump-utils/90-vmcopy-kdump.conf" with { type: "text" };
import kdumpConf from "../../dist/kdump-utils/kdump.conf.example" with { type: "text" };

/** A place below the root, and what is there; `program` is vmcopy itself. */
export type Item =
  | { readonly path: string; readonly kind: "text"; readonly mode: number; readonly text: string }
  | { readonly path: string; readonly kind: "program"; readonly mode: number }
  | { readonly path: string; readonly kind: "link"; readonly target: string };

export interface Integration {
  readonly items: readonly Item[];
  /** what it is for; it is there where one of these is */
  readonly tool: { readonly name: string; readonly paths: readonly string[] };
  /** what is left to do, one line each */
  readonly next: readonly string[];
}

/**
 * /usr/bin and not /usr/local/bin: dracut, kdump-config and mkdumprd look for programs in /usr/bin, /usr/sbin, /bin and /sbin
 * alone.
 */
export const PROGRAM_PATH = "/usr/bin/vmcopy";

const program: Item = { path: PROGRAM_PATH, kind: "program", mode: 0o755 };
const script = (path: string, text: string): Item => ({ path, kind: "text", mode: 0o755, text });
const file = (path: string, text: string): Item => ({ path, kind: "text", mode: 0o644, text });

const MODULES = "/usr/lib/dracut/modules.d";
const dracutItems: readonly Item[] = [
  script(`${MODULES}/99vmcopy/module-setup.sh`, dracutModule),
  script(`${MODULES}/99vmcopy/vmcopy-kdump`, kdump),
  script(`${MODULES}/99vmcopy/vmcopy-cmdline.sh`, dracutCommandLine),
  script(`${MODULES}/99vmcopy/vmcopy-device.sh`, dracutDevice),
  script(`${MODULES}/99vmcopy/vmcopy-last.sh`, dracutLast),
];

const settings =
  'say what is captured where, in /etc/vmcopy.toml (to = "/dev/disk/by-uuid/...:/crash") or on the capture kernel\'s command line (vmcopy.to=...)';

export const INTEGRATIONS = {
  dracut: {
    tool: { name: "dracut", paths: ["/usr/bin/dracut", "/usr/sbin/dracut", "/sbin/dracut"] },
    items: [program, ...dracutItems, script(`${MODULES}/99vmcopy-squash/module-setup.sh`, dracutSquash)],
    next: [
      settings,
      "make an initramfs for the capture kernel: dracut --add vmcopy FILE; with vmcopy-squash the program lies compressed in memory, in less than half the space",
    ],
  },
  "kdump-utils": {
    tool: { name: "kdump-utils", paths: ["/usr/bin/kdumpctl", "/usr/sbin/kdumpctl", "/sbin/kdumpctl"] },
    items: [
      program,
      ...dracutItems,
      file("/etc/dracut.conf.d/90-vmcopy-kdump.conf", kdumpUtils),
      file("/usr/share/doc/vmcopy/kdump.conf.example", kdumpConf),
    ],
    next: [
      "vmcopy takes makedumpfile's place in the next initramfs that kdump-utils makes: kdumpctl rebuild && kdumpctl restart",
      "to have it called as itself: core_collector in /etc/kdump.conf, as in /usr/share/doc/vmcopy/kdump.conf.example",
    ],
  },
  "kdump-tools": {
    tool: { name: "kdump-tools", paths: ["/usr/sbin/kdump-config", "/sbin/kdump-config"] },
    items: [
      program,
      { path: "/usr/lib/vmcopy/bin/makedumpfile", kind: "link", target: "../../../bin/vmcopy" },
      { path: "/usr/lib/vmcopy/bin/vmcore-dmesg", kind: "link", target: "../../../bin/vmcopy" },
      file("/etc/systemd/system/kdump-tools.service.d/vmcopy.conf", kdumpTools),
      file("/etc/systemd/system/kdump-tools-dump.service.d/vmcopy.conf", kdumpTools),
    ],
    next: [
      "vmcopy is makedumpfile to kdump-tools from the next crash on; in the running system: systemctl daemon-reload",
      "where systemd does not start kdump-tools: PATH=/usr/lib/vmcopy/bin:/usr/sbin:/usr/bin:/sbin:/bin in /etc/default/kdump-tools",
    ],
  },
  "initramfs-tools": {
    tool: { name: "initramfs-tools", paths: ["/usr/sbin/mkinitramfs", "/sbin/mkinitramfs"] },
    items: [
      program,
      script("/etc/initramfs-tools/scripts/vmcopy-kdump", kdump),
      script("/etc/initramfs-tools/hooks/vmcopy", hook),
      script("/etc/initramfs-tools/scripts/init-premount/vmcopy", premount),
      script("/etc/initramfs-tools/scripts/local-bottom/vmcopy", bottom),
    ],
    next: [
      settings,
      "kdump-tools' initramfs takes vmcopy in where there is an /etc/vmcopy.toml: /etc/kernel/postinst.d/kdump-tools $(uname -r)",
      "or make one for another loader: VMCOPY=y mkinitramfs -o FILE",
    ],
  },
} as const satisfies Record<string, Integration>;

export type IntegrationName = keyof typeof INTEGRATIONS;
