import { z } from 'zod'

/** What happened to a row, in Debezium's letters: read by a snapshot, created, updated, deleted, table truncated. */
export const changeOperation = z.enum(['r', 'c', 'u', 'd', 't'])
export type ChangeOperation = z.infer<typeof changeOperation>

/**
 * One row of `cdc.events`, the log of every change of the CRM.
 *
 * `row` is Debezium's unwrapped JSON (ExtractNewRecordState with `delete.tombstone.handling.mode=rewrite`),
 * kept as text: parsing it as a JavaScript object would round 64-bit integers and numerics.
 */
export const changeEvent = z.object({
  /** `<schema>.<table>` at the source. */
  table: z.string(),
  /** The key columns as JSON, in key order: `{"id":"7f…"}`. Empty for a truncate. */
  key: z.string(),
  /** Place in commit order: commit LSN << 64 | index in the transaction, as decimal digits (a UInt128). */
  version: z.string().regex(/^\d+$/),
  /** The change's own LSN, for the audit only: it is not the commit order. */
  lsn: z.string().regex(/^\d+$/),
  op: changeOperation,
  deleted: z.union([z.literal(0), z.literal(1)]),
  row: z.string(),
  tx_id: z.string().regex(/^\d+$/),
  committed_at: z.string(),
})
export type ChangeEvent = z.infer<typeof changeEvent>
