/**
 * The log of the pretended kernel, in the printk ring of Linux 5.10 and later (kernel/printk/printk_ringbuffer.h):
 * from its first line to the panic. Offsets are those of its VMCOREINFO.
 */
import { formatSize } from "../units.ts";
import { LOG_PAGES, PAGE } from "./plan.ts";
import { Random } from "./random.ts";
import { RELEASE } from "./symbols.ts";

const COUNT_BITS = 7;
const SIZE_BITS = 14;
const DESCRIPTOR = 24;
const INFO = 88;
/** Where things are in the log's own memory, bytes from its start: pages, text last. */
const POINTER_AT = 0;
const RING_AT = 16;
const DESCRIPTORS_AT = 128;
const INFOS_AT = PAGE;
const TEXT_AT = 4 * PAGE;

/** Addresses of the variables that a reader starts from. */
export function logSymbols(address: bigint): { prb: bigint; ring: bigint } {
  return { prb: address + BigInt(POINTER_AT), ring: address + BigInt(RING_AT) };
}

const FINALIZED = 2n << 62n;
const MASK = 2n ** 62n - 1n;
const LEVEL_INFO = 6;
const LEVEL_EMERGENCY = 0;

/**
 * The ring's memory.
 *
 * @param address virtual address it will lie at
 * @param ram bytes
 */
export function logMemory(seed: number, cpus: number, ram: number, address: bigint): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(LOG_PAGES * PAGE);
  const view = new DataView(bytes.buffer);
  const word = (at: number, value: bigint) => view.setBigUint64(at, BigInt.asUintN(64, value), true);
  // The first descriptor's id and the first position, as the kernel starts with (DESC0_ID, BLK0_LPOS).
  const firstId = -(1n << BigInt(COUNT_BITS)) & MASK;
  const firstPosition = -(1n << BigInt(SIZE_BITS));
  let position = 0;
  let nanoseconds = 0n;
  const random = new Random(seed, 0, 10);
  const lines = logLines(cpus, ram);
  for (const [index, line] of lines.entries()) {
    const isLast = index >= lines.length - LAST_WORDS.length;
    const text = new TextEncoder().encode(line);
    const length = 8 + Math.ceil(text.length / 8) * 8;
    const id = (firstId + BigInt(index)) & MASK;
    const descriptor = DESCRIPTORS_AT + index * DESCRIPTOR;
    word(descriptor, FINALIZED | id);
    word(descriptor + 8, firstPosition + BigInt(position));
    word(descriptor + 16, firstPosition + BigInt(position + length));
    const info = INFOS_AT + index * INFO;
    if (index > 3) nanoseconds += BigInt(random.below(isLast ? 40_000 : 2 ** 21)) * (isLast ? 1000n : 100n);
    word(info, BigInt(index));
    word(info + 8, nanoseconds);
    view.setUint16(info + 16, text.length, true);
    view.setUint8(info + 19, (isLast ? LEVEL_EMERGENCY : LEVEL_INFO) << 5);
    view.setUint32(info + 20, isLast ? 1000 : 1, true);
    word(TEXT_AT + position, id);
    bytes.set(text, TEXT_AT + position + 8);
    position += length;
  }
  word(POINTER_AT, address + BigInt(RING_AT));
  view.setUint32(RING_AT, COUNT_BITS, true);
  word(RING_AT + 8, address + BigInt(DESCRIPTORS_AT));
  word(RING_AT + 16, address + BigInt(INFOS_AT));
  word(RING_AT + 24, (firstId + BigInt(lines.length - 1)) & MASK);
  word(RING_AT + 32, firstId);
  view.setUint32(RING_AT + 48, SIZE_BITS, true);
  word(RING_AT + 56, address + BigInt(TEXT_AT));
  word(RING_AT + 64, firstPosition + BigInt(position));
  word(RING_AT + 72, firstPosition);
  return bytes;
}

const LAST_WORDS = [
  "sysrq: Trigger a crash",
  "Kernel panic - not syncing: sysrq triggered crash",
  "CPU: 0 PID: 1000 Comm: sh Not tainted",
  "Call Trace:",
  " <TASK>",
  " panic+0x118/0x2f0",
  " sysrq_handle_crash+0x16/0x20",
  " __handle_sysrq+0x9b/0x170",
  " write_sysrq_trigger+0x24/0x40",
  " proc_reg_write+0x56/0xa0",
  " vfs_write+0xd5/0x3b0",
  " ksys_write+0x6b/0xf0",
  " do_syscall_64+0x55/0xb0",
  " entry_SYSCALL_64_after_hwframe+0x6e/0xd8",
  " </TASK>",
];

function logLines(cpus: number, ram: number): string[] {
  return [
    `Linux version ${RELEASE} (vmcopy sample) #1 SMP PREEMPT_DYNAMIC`,
    "Command line: BOOT_IMAGE=/boot/vmlinuz root=/dev/vda1 ro console=ttyS0 crashkernel=256M",
    "BIOS-provided physical RAM map:",
    "BIOS-e820: [mem 0x0000000000001000-0x000000000009fbff] usable",
    "NX (Execute Disable) protection: active",
    "SMBIOS 3.0.0 present.",
    "tsc: Fast TSC calibration using PIT",
    "Reserving 256MB of memory for crashkernel",
    `Memory: ${formatSize(ram)} available`,
    "SLUB: HWalign=64, Order=0-3, MinObjects=0, Nodes=1",
    "rcu: Hierarchical RCU implementation.",
    "printk: console [ttyS0] enabled",
    "smp: Bringing up secondary CPUs ...",
    `smp: Brought up 1 node, ${cpus} ${cpus === 1 ? "CPU" : "CPUs"}`,
    "devtmpfs: initialized",
    "PCI: Using configuration type 1 for base access",
    "clocksource: Switched to clocksource tsc-early",
    "NET: Registered PF_INET protocol family",
    "virtio_blk virtio0: [vda] 41943040 512-byte logical blocks",
    "EXT4-fs (vda1): mounted filesystem with ordered data mode",
    "systemd[1]: Detected virtualization.",
    "systemd[1]: Started Journal Service.",
    "audit: initializing netlink subsys (enabled)",
    "random: crng init done",
    ...LAST_WORDS,
  ];
}
