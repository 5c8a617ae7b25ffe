/** Marks what there is of a dump as incomplete, in its format's own way: kdump-compressed in its status, ELF in e_flags. */
import type { Libc } from "../../ffi/libc.ts";
import { Mapping } from "../../ffi/mapping.ts";
import type { Sink } from "../sink/sink.ts";
import { decodeMainHeader, STATUS_AT, STATUS_INCOMPLETE } from "./kdump-header.ts";

const HEAD = 512;
const ELF_MAGIC = 0x7f454c46;
const E_FLAGS = 48;
const ELF_INCOMPLETE = 1;

/** Marks it, where so much of it is there that its format is known. @throws LibcError */
export async function markIncomplete(libc: Libc, sink: Sink): Promise<void> {
  if (!sink.rewritable) return;
  using head = Mapping.buffer(libc, HEAD);
  const bytes = head.bytes(0, HEAD);
  bytes.fill(0, sink.read(head.address, HEAD, 0));
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  if (decodeMainHeader(bytes) !== undefined) {
    view.setUint32(STATUS_AT, view.getUint32(STATUS_AT, true) | STATUS_INCOMPLETE, true);
    await sink.data(head.address + STATUS_AT, 4, STATUS_AT);
  } else if (view.getUint32(0) === ELF_MAGIC) {
    view.setUint32(E_FLAGS, view.getUint32(E_FLAGS, true) | ELF_INCOMPLETE, true);
    await sink.data(head.address + E_FLAGS, 4, E_FLAGS);
  }
}
