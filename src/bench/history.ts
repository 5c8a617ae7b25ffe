/**
 * The measurement that gave /proc/vmcore its mmap, as its author published it. Every report is drawn beside it.
 *
 * Source: the cover letter of HATAYAMA Daisuke's series "[PATCH 00/13] kdump, vmcore: support mmap() on /proc/vmcore",
 * kexec mailing list, 14 February 2013. Sizes, times and rates are printed there with the precision kept here.
 */

/** A row of a 2013 table. `seconds` is for the whole vmcore. */
export interface HistoricRow {
  /** Bytes mapped at a time. */
  size: number;
  seconds: number;
  /** Bytes of page table that map one window: 8 for each page of 4 KiB. */
  pageTableBytes: number;
  gibPerSecond: number;
}

/** Where and how it was measured. */
export const SETUP_2013 = {
  title: "[PATCH 00/13] kdump, vmcore: support mmap() on /proc/vmcore",
  author: "HATAYAMA Daisuke",
  list: "kexec mailing list",
  date: "2013-02-14",
  cpu: "Intel(R) Xeon(R) CPU E7- 4820 @ 2.00GHz, one CPU used",
  kernel: "3.8-rc6 with the series",
  memory: "32 GB",
  vmcore: "31.7 GB",
  /** The /dev/oldmem table was repeated from this earlier posting. */
  oldmemSource: "https://lkml.org/lkml/2013/2/3/431",
} as const;

/** Before the series: `dd bs=4096 if=/proc/vmcore of=/dev/null`, printed as 214.26 MiB/s. */
export const READ_2013: Omit<HistoricRow, "pageTableBytes"> = {
  size: 4096,
  seconds: 151.5,
  gibPerSecond: 214.26 / 1024,
};

/** With the series: /proc/vmcore mapped window by window and written to /dev/null. */
export const VMCORE_2013: readonly HistoricRow[] = table([
  [78.35, 0.4],
  [45.29, 0.7],
  [23.82, 1.33],
  [12.9, 2.46],
  [6.13, 5.17],
  [3.26, 9.72],
  [1.86, 17.04],
  [1.13, 28.04],
  [0.77, 41.16],
  [0.58, 54.64],
  [0.5, 63.38],
  [0.46, 68.89],
  [0.44, 72.02],
  [0.44, 72.02],
  [0.45, 70.42],
]);

/** The same on /dev/oldmem, which Linux no longer has. */
export const OLDMEM_2013: readonly HistoricRow[] = table([
  [41.86, 0.76],
  [25.43, 1.25],
  [13.28, 2.39],
  [7.2, 4.4],
  [3.45, 9.19],
  [1.82, 17.42],
  [1.03, 30.78],
  [0.61, 51.97],
  [0.41, 77.32],
  [0.32, 99.06],
  [0.27, 117.41],
  [0.24, 132.08],
  [0.23, 137.83],
  [0.22, 144.09],
  [0.22, 144.09],
]);

/** Both tables run from 4 KiB to 64 MiB, each size twice the one before. */
function table(rows: readonly (readonly [seconds: number, gibPerSecond: number])[]): HistoricRow[] {
  return rows.map(([seconds, gibPerSecond], n) => ({
    size: 4096 * 2 ** n,
    seconds,
    pageTableBytes: 8 * 2 ** n,
    gibPerSecond,
  }));
}
