import type { TendonError } from '@tendon/platform/errors.ts'
import type pg from 'pg'
import { z } from 'zod'
import { cdcErrors } from '../errors.ts'
import { parseLsn } from './lsn.ts'
import type { ReplicationConnection } from './replication-connection.ts'
import { rowsOf } from './rows-of.ts'
import type { Slot, SourceIdentity } from './start-plan.ts'

const slotRow = z.object({
  plugin: z.string(),
  is_here: z.boolean(),
  confirmed: z.string().nullable(),
  is_lost: z.boolean(),
  active: z.boolean(),
})

// `conflicting` and `invalidation_reason` are not in every version; wal_status says 'lost' for each of them.
const slotSql = `
SELECT plugin, database = current_database() AS is_here, confirmed_flush_lsn::text AS confirmed,
  COALESCE(wal_status = 'lost', false) OR restart_lsn IS NULL AS is_lost, active
FROM pg_replication_slots
WHERE slot_name = $1`

export async function readSlot(client: pg.Client, slotName: string): Promise<Slot | undefined> {
  const [slot] = await rowsOf(client, slotRow, slotSql, [slotName])
  if (!slot) return undefined
  const isOurs = slot.plugin === 'pgoutput' && slot.is_here
  return {
    confirmedLsn: slot.confirmed === null ? 0n : parseLsn(slot.confirmed),
    isLost: slot.is_lost || !isOurs,
    isActive: slot.active,
  }
}

const roomRow = z.object({ free: z.number() })
const roomSql = `
SELECT current_setting('max_replication_slots')::int - (SELECT count(*)::int FROM pg_replication_slots) AS free`

/** What keeps a slot from being made, where there is none yet. */
export async function readRoomProblem(client: pg.Client): Promise<TendonError | undefined> {
  const [room] = await rowsOf(client, roomRow, roomSql)
  if (room!.free > 0) return undefined
  return cdcErrors.sourceFull('There is no slot yet, and all that the server may have are in use.')
}

export async function dropSlot(client: pg.Client, slotName: string): Promise<void> {
  try {
    await client.query(
      'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1',
      [slotName],
    )
  } catch (cause) {
    throw slotError(cause, slotName)
  }
}

export async function identifySystem(connection: ReplicationConnection): Promise<SourceIdentity> {
  const [row] = await connection.queryRows('IDENTIFY_SYSTEM')
  const [systemIdentifier = '', timeline = '0', walEnd = '0/0'] = row ?? []
  return { systemIdentifier, timeline: Number(timeline), walEnd: parseLsn(walEnd) }
}

/**
 * Makes the slot within a transaction of the connection that sees exactly what is committed before the slot's
 * first change. @returns that point
 */
export async function createSlotWithSnapshot(
  connection: ReplicationConnection,
  slotName: string,
): Promise<bigint> {
  try {
    await connection.query('BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ')
    const command = `CREATE_REPLICATION_SLOT "${slotName}" LOGICAL pgoutput (SNAPSHOT 'use')`
    const [row] = await connection.queryRows(command)
    return parseLsn(row?.[1] ?? '0/0')
  } catch (cause) {
    throw slotError(cause, slotName)
  }
}

/**
 * Whether PostgreSQL says that it cannot decode what a slot is to give, which it then says for ever. While the first
 * snapshot of a slot is built it does not note whose transactions change the catalog (heap2_decode passes over NEW_CID
 * before FULL_SNAPSHOT; seen in 18.4). If one of them truncates or rewrites a table, another that has begun by then
 * and writes into that table cannot be decoded: 1 in 80 slots under a load of TRUNCATEs.
 */
export const isUndecodable = (text: string) => /could not map filen(ode|umber)/.test(text)

/** Gives the server's errors about slots and replication their codes. */
export function slotError(cause: unknown, slotName: string): unknown {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  switch (code) {
    case '55006' /* object_in_use */:
      return cdcErrors.slotBusy(`Another process reads the replication slot ${slotName}.`, { cause })
    case '42704' /* undefined_object */:
      return cdcErrors.slotLost(`The replication slot ${slotName} is not there any more.`, { cause })
    case '55000' /* object_not_in_prerequisite_state */:
      return cause instanceof Error && cause.message.includes('wal_level')
        ? cdcErrors.logicalDecodingOff('The CRM database runs with a wal_level below logical.', { cause })
        : cdcErrors.slotLost(`The replication slot ${slotName} has lost its WAL.`, { cause })
    case '53400' /* configuration_limit_exceeded */:
      return cdcErrors.sourceFull('All replication slots are in use.', { cause })
    case '42501' /* insufficient_privilege */:
      return cdcErrors.logicalDecodingOff('The user may not replicate.', { cause })
    default:
      return cause
  }
}
