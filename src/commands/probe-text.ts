/** A probe's report as text for people: two tables and a line that sums them up. */

import type { FaultResult, ProbeReport, PromiseResult } from "../probe/row.ts";
import { type Look, printable, type Style, wrap } from "../ui/style.ts";
import { type Cell, renderTable } from "../ui/table.ts";

const STYLES: Record<PromiseResult | FaultResult, Style> = {
  pass: "good",
  fail: "bad",
  present: "warn",
  absent: "good",
  "not applicable": "dim",
};

/** All of it as whole lines. */
export function toText(report: ProbeReport, look: Look): string {
  const result = (text: PromiseResult | FaultResult): Cell => ({ text, style: STYLES[text] });
  const columns = (first: string, second: string) => [
    { title: first, align: "right" as const },
    { title: second, wrapTo: 18 },
    { title: "result", wrapTo: 10 },
    { title: "seen", wrapTo: 18 },
  ];
  const promises = renderTable(
    {
      columns: columns("#", "patch of 2013"),
      rows: report.promises.map((row) => [String(row.patch), row.title, result(row.result), row.seen]),
    },
    look,
  );
  const faults = renderTable(
    {
      columns: columns("fault", "known of today's kernels"),
      rows: report.faults.map((row) => [row.name, row.title, result(row.result), row.seen]),
    },
    look,
  );
  const kernel = report.kernel === null ? "" : `, kernel ${report.kernel}`;
  const title = `${report.source} (${report.backing}, pages of ${report.pageSize} bytes)${kernel}`;
  const lines = (text: string) => wrap(printable(text), look.columns).join("\n");
  return `${lines(title)}\n\n${promises}\n${faults}\n${lines(summary(report))}\n`;
}

function summary({ promises, faults }: ProbeReport): string {
  const count = (rows: readonly { result: string }[], wanted: string) =>
    rows.filter(({ result }) => result === wanted).length;
  return (
    `Promises: ${count(promises, "pass")} kept, ${count(promises, "fail")} broken, ` +
    `${count(promises, "not applicable")} not applicable. Faults: ${count(faults, "present")} present, ` +
    `${count(faults, "absent")} absent, ${count(faults, "not applicable")} not applicable.`
  );
}
