// An initramfs of Debian's initramfs-tools with our hook and boot scripts, the program in a squashfs image.

import { describeImage } from "./image-row.ts";
import { initramfsToolsImage, initramfsToolsProblems } from "./initramfs-tools.ts";
import { labProblems } from "./packages.ts";

describeImage("mkinitramfs with VMCOPY=y", {
  problems: [...labProblems(), ...initramfsToolsProblems()],
  image: initramfsToolsImage,
  crashkernel: "256M",
  settings: "vmcopy.to=/dev/vdb:/crash vmcopy.final=poweroff",
  directories: ["crash"],
  crashes: "crash",
});
