/** A capture on a raw partition: its header, and what lies there beside the dump, against the header's digests. */
import { DAMAGED, DUMP_MEMBER, type PartitionReader } from "../dump/partition-reader.ts";
import type { Findings } from "./findings.ts";

/**
 * @param unfinished it is being written: that it does not say to be whole is no fault
 * @returns bytes that were compared @throws LibcError
 */
export function verifyMembers(partition: PartitionReader, unfinished: boolean, findings: Findings): number {
  if (!unfinished) for (const problem of partition.problems()) findings.problem(problem);
  let bytesCompared = 0;
  for (const member of partition.header.members) {
    if (member.name === DUMP_MEMBER) continue;
    const { bytes, isRight } = partition.read(member);
    bytesCompared += bytes.length;
    if (!isRight) findings.problem(`${member.name} is not as it was written: ${DAMAGED}`);
  }
  return bytesCompared;
}
