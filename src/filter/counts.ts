/** Pages by kind, by the names that makedumpfile's report and vmcopy's JSON have for them. */

export interface PageCounts {
  /** pages of RAM, those of partial pages too */
  total: number;
  /** zero pages among those kept; null where nobody looked */
  zero: number | null;
  cache: number;
  cachePrivate: number;
  user: number;
  free: number;
  hwpoison: number;
  offline: number;
  /** pages whose struct page could not be read: kept */
  unknown: number;
  /** pages in the dump, zero pages among them */
  kept: number;
}
