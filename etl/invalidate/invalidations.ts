import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'

/** Tells reports-service that the numbers of these users changed. Telling it again is harmless. */
export type Invalidate = (userIds: string[], signal?: AbortSignal) => Promise<void>

const usersPerCall = 10_000

/** In the order of the runs that changed them: whoever waits longest is told first. */
const undelivered = defineQuery({
  name: 'etl-undelivered-invalidations',
  sql: `
    SELECT user_id, groupArray(run_seq) AS run_seqs
    FROM reports.etl_invalidations FINAL
    WHERE run_seq >= {from:UInt64} AND delivered = 0
    GROUP BY user_id
    ORDER BY min(run_seq), user_id`,
  params: z.object({ from: z.int() }),
  row: z.object({ user_id: z.string(), run_seqs: z.array(z.string()) }),
})

const undeliveredUsers = defineQuery({
  name: 'etl-undelivered-users',
  sql: `
    SELECT toUInt32(uniqExact(user_id)) AS users
    FROM reports.etl_invalidations FINAL
    WHERE run_seq >= {from:UInt64} AND delivered = 0`,
  params: z.object({ from: z.int() }),
  row: z.object({ users: z.int() }),
})

/** A user of whom reports-service is to be told, and the runs that changed the numbers. */
export type Undelivered = z.output<typeof undelivered.row>

/** @param from number of the first run of which there may be any: lists are kept for long */
export function readUndelivered(warehouse: Warehouse, from: number): Promise<Undelivered[]> {
  return warehouse.query(undelivered, { from })
}

/** @param from as above */
export async function countUndelivered(warehouse: Warehouse, from: number): Promise<number> {
  const [row] = await warehouse.query(undeliveredUsers, { from })
  return row!.users
}

/** Keeps the list of users that a run is about to change, so that a crash after its load loses none of them. */
export async function keepInvalidations(
  warehouse: Warehouse,
  runSeq: number,
  userIds: readonly string[],
): Promise<void> {
  if (userIds.length === 0) return
  const rows = userIds.map((user_id) => ({ run_seq: runSeq, user_id, delivered: 0, _version: 1 }))
  await warehouse.insertRows('reports.etl_invalidations', rows)
}

/**
 * Delivers what is kept and not delivered yet.
 * @param onDelivered is told of each call that reports-service has confirmed, also when a later one fails
 */
export async function deliverInvalidations(
  warehouse: Warehouse,
  users: readonly Undelivered[],
  invalidate: Invalidate,
  signal: AbortSignal,
  onDelivered: (users: number) => void,
): Promise<void> {
  for (let start = 0; start < users.length; start += usersPerCall) {
    const batch = users.slice(start, start + usersPerCall)
    await invalidate(
      batch.map((user) => user.user_id),
      signal,
    )
    onDelivered(batch.length)
    const delivered = batch.flatMap(({ user_id, run_seqs }) =>
      run_seqs.map((run_seq) => ({ run_seq, user_id, delivered: 1, _version: 2 })),
    )
    await warehouse.insertRows('reports.etl_invalidations', delivered)
  }
}
