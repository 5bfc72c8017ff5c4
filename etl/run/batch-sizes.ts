/** How much a run holds, and sends, at once. Tests make it little, so that runs die between one piece and the next. */
export type BatchSizes = {
  /** Telemetry that is read by one statement of a run that measures everything. */
  rowsOfSlice: number
  /** Rows of the statistics that are compared and loaded together, of a run that measures everything. */
  rowsOfBatch: number
  /** Days of chips that are measured, compared and loaded together, of a run that measures what is new. */
  windowsOfPart: number
  /** Rows of the statistics that ClickHouse is sent by one insert. */
  rowsOfInsert: number
  /** UTC days of chips in which something is new: of more, a run measures everything instead. */
  mostWindows: number
}

export const batchSizes: BatchSizes = {
  // PostgreSQL holds them while it packs them by chip, at 20 bytes each, or 36 when they are whole.
  rowsOfSlice: 500_000,
  // ClickHouse writes, and merges, a part for each insert and table: in 30 inserts 290,000 rows took it 3.3 CPU seconds,
  // in five 0.7. Two are held by each stream, one that is loaded and one that is measured meanwhile; the last of all is
  // loaded with nothing beside it.
  rowsOfBatch: 55_000,
  // A part costs some seven statements at ClickHouse, 12 ms each, and a part written in each of five tables.
  windowsOfPart: 4_000,
  rowsOfInsert: 150_000,
  // Each is held while the run goes on, at 120 bytes: of 5,800,000 a run took 707 MB.
  mostWindows: 500_000,
}
