// What a log says of its kernel's death: panics, oopses, both, neither; other tasks that talk in between.
import { describe, expect, it } from "bun:test";
import { readPanic } from "../../src/dmesg/panic.ts";
import type { LogRecord } from "../../src/vmcore/log.ts";

/** Records of lines, `caller|text` where the caller is not T1; a tenth of a second apart. */
function log(lines: string): LogRecord[] {
  return lines
    .split("\n")
    .filter((line) => line !== "")
    .map((line, seq): LogRecord => {
      const [, caller, text] = /^(?:(\w\d+)\|)?(.*)$/.exec(line) ?? [];
      return {
        seq,
        nanoseconds: BigInt(seq) * 100_000_000n,
        level: 4,
        facility: 0,
        caller: caller ?? "T1",
        text: new TextEncoder().encode(text),
      };
    });
}

const SYSRQ = `
systemd[1]: Started Journal Service.
sysrq: Trigger a crash
Kernel panic - not syncing: sysrq triggered crash
CPU: 1 PID: 173 Comm: sh Kdump: loaded Not tainted 6.1.0-56-cloud-amd64 #1  Debian 6.1.192-2
Hardware name: QEMU Standard PC (i440FX + PIIX, 1996), BIOS 1.16.2-debian-1.16.2-1 04/01/2014
Call Trace:
 <TASK>
 dump_stack_lvl+0x44/0x5c
 panic+0x118/0x2f0
 sysrq_handle_crash+0x16/0x20
 entry_SYSCALL_64_after_hwframe+0x6e/0xd8
RIP: 0033:0x4d3c2b
RSP: 002b:00007ffdd9fde6e8 EFLAGS: 00000246
 </TASK>
Kernel Offset: disabled`;

const OOPS = `
BUG: kernel NULL pointer dereference, address: 0000000000000010
#PF: supervisor write access in kernel mode
#PF: error_code(0x0002) - not-present page
PGD 0 P4D 0
Oops: 0002 [#1] PREEMPT SMP NOPTI
CPU: 3 UID: 0 PID: 4711 Comm: tokio worker Tainted: G           OE      6.12.9 #1
RIP: 0010:evil_write+0x1c/0x40 [evil]
Code: 00 00
RSP: 0018:ffffc90000a57e38 EFLAGS: 00010246
Call Trace:
 <IRQ>
 ? __die_body.cold+0x8/0x12
 evil_write+0x1c/0x40 [evil]
 </IRQ>
 <TASK>
 vfs_write+0xd5/0x3b0
 </TASK>
Modules linked in: evil(OE)
---[ end trace 0000000000000000 ]---`;

describe("a panic", () => {
  it("of sysrq: its words, task, processor and stack", () => {
    expect(readPanic(log(SYSRQ))).toEqual({
      message: "sysrq triggered crash",
      panic: "sysrq triggered crash",
      oops: null,
      task: { comm: "sh", pid: 173, cpu: 1 },
      instruction: null,
      stack: [
        "dump_stack_lvl+0x44/0x5c",
        "panic+0x118/0x2f0",
        "sysrq_handle_crash+0x16/0x20",
        "entry_SYSCALL_64_after_hwframe+0x6e/0xd8",
      ],
      seconds: 0.2,
    });
  });

  it("on an oops: the oops' task, instruction and stack, and both messages", () => {
    const said = readPanic(
      log(`${OOPS}\nKernel panic - not syncing: Fatal exception in interrupt\nKernel Offset: 0x2e000000`),
    );
    expect(said).toMatchObject({
      message: "Fatal exception in interrupt",
      panic: "Fatal exception in interrupt",
      oops: "BUG: kernel NULL pointer dereference, address: 0000000000000010",
      task: { comm: "tokio worker", pid: 4711, cpu: 3 },
      instruction: "evil_write+0x1c/0x40",
      stack: ["? __die_body.cold+0x8/0x12", "evil_write+0x1c/0x40 [evil]", "vfs_write+0xd5/0x3b0"],
    });
  });

  it("on an oops whose crash kernel started before the panic was said", () => {
    expect(readPanic(log(OOPS))).toMatchObject({
      message: "BUG: kernel NULL pointer dereference, address: 0000000000000010",
      panic: null,
      task: { comm: "tokio worker" },
      seconds: 0,
    });
  });

  it("an hour after an oops is another story", () => {
    const records = log(`${OOPS}\nKernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b`);
    const late = records.map((record, index) =>
      index === records.length - 1 ? { ...record, nanoseconds: 3600_000_000_000n } : record,
    );
    expect(readPanic(late)).toMatchObject({
      message: "Attempted to kill init! exitcode=0x0000000b",
      oops: null,
      task: null,
      stack: [],
    });
  });

  it("while other processors talk", () => {
    const [head, ...rest] = SYSRQ.trim().split("\n");
    const mixed = rest.flatMap((line, index) =>
      [line, `C${index % 2}|NMI backtrace for cpu ${index}`, " other+0x1/0x2"].slice(0, 2),
    );
    expect(readPanic(log([head, ...mixed].join("\n")))).toMatchObject({
      task: { comm: "sh", pid: 173, cpu: 1 },
      stack: { length: 4 },
    });
  });

  it("of arm64", () => {
    const said = readPanic(
      log(`
Unable to handle kernel NULL pointer dereference at virtual address 0000000000000000
Internal error: Oops: 0000000096000044 [#1] SMP
CPU: 0 PID: 1 Comm: init Not tainted 6.1.0 #1
pc : sysrq_handle_crash+0x20/0x30
Call trace:
 sysrq_handle_crash+0x20/0x30
 __handle_sysrq+0x9c/0x1a0
Code: d65f03c0
---[ end trace 0000000000000000 ]---
Kernel panic - not syncing: Oops: Fatal exception`),
    );
    expect(said).toMatchObject({
      oops: "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000000",
      instruction: "sysrq_handle_crash+0x20/0x30",
      stack: ["sysrq_handle_crash+0x20/0x30", "__handle_sysrq+0x9c/0x1a0"],
    });
  });
});

it("a record of several lines is as good as several records", () => {
  const [first, ...others] = log(SYSRQ);
  const text = new TextEncoder().encode(SYSRQ.trim());
  expect(others.length).toBeGreaterThan(5);
  expect(readPanic([{ ...(first as LogRecord), text }])).toMatchObject({
    stack: { length: 4 },
    task: { pid: 173 },
  });
});

it.each([
  ["an empty log", ""],
  ["a log that ends in peace", "Linux version 6.1.0\nrandom: crng init done"],
])("%s tells of nothing", (_, lines) => {
  expect(readPanic(log(lines))).toMatchObject({
    message: null,
    panic: null,
    oops: null,
    task: null,
    stack: [],
  });
});

it("a trace without an end is cut off", () => {
  const frames = Array.from({ length: 2000 }, (_, index) => ` f${index}+0x1/0x2`).join("\n");
  const said = readPanic(log(`Kernel panic - not syncing: deep\nCall Trace:\n${frames}`));
  expect(said.stack).toHaveLength(256);
});
