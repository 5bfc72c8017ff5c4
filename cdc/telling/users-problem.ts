import { TendonError } from '@tendon/platform/errors.ts'
import { clickHouseErrorCode, type Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import type { ReplicaTable } from '../derive/derive-table.ts'
import { lacking, readColumns } from '../derive/tables-read.ts'
import { cdcErrors } from '../errors.ts'
import type { RegistryEntry } from '../registry.ts'
import { asUsersProblem, findConcernedUsers, usersSql } from './concerned-users.ts'

/**
 * Asks ClickHouse for the users of no change at all.
 * @returns TENDON-CDC-024 when it does not take the SELECT, or its `user_id` cannot be the id of a user
 */
export async function readUsersProblem(
  warehouse: Warehouse,
  entry: RegistryEntry,
): Promise<TendonError | undefined> {
  try {
    const { type, others } = await describeUserId(warehouse, entry)
    if (type === undefined)
      return cdcErrors.usersRefused(`Of ${entry.name}: it has no column user_id; it has: ${others}.`)
    if (!idTypes.test(type)) {
      return cdcErrors.usersRefused(
        `Of ${entry.name}: user_id is of type ${type}, and has to be a UUID, or a String that holds one, as ` +
          `JSONExtractString(row, 'customer_id') AS user_id is. Nobody is told of its changes.`,
      )
    }
    const none = { entry, keys: new Set<string>(), hasMoreInLog: false }
    await findConcernedUsers(warehouse, [none], { from: 0n, to: 0n })
    return undefined
  } catch (err) {
    if (err instanceof TendonError && err.code === cdcErrors.usersRefused.code) return err
    throw err
  }
}

const idTypes = /^(LowCardinality\()?(Nullable\()?(UUID|String|FixedString\(36\))\)*$/

/** Before it is asked within ours: ClickHouse's words are of their SELECT alone then. */
async function describeUserId(
  warehouse: Warehouse,
  entry: RegistryEntry,
): Promise<{ type: string | undefined; others: string }> {
  const query = defineQuery({
    name: `type-of-user-id ${entry.name}`,
    sql: `DESCRIBE (WITH changed_keys AS (SELECT arrayJoin({keys:Array(String)}) AS key) ${entry.users})`,
    params: z.object({ keys: z.array(z.string()) }),
    row: z.object({ name: z.string(), type: z.string() }),
  })
  const columns = await asUsersProblem(entry, () => warehouse.query(query, { keys: [] }))
  return {
    type: columns.find(({ name }) => name === 'user_id')?.type,
    others: columns.map(({ name }) => name).join(', '),
  }
}

/**
 * Tables whose users could not be found any more without a replica, or without some columns of it: as long as that is so, the
 * position stands for all tables.
 * @param kept names of the columns that stay; none when the replica goes
 * @throws what keeps ClickHouse from looking into a SELECT that may well read it
 */
export async function readersOf(
  warehouse: Warehouse,
  entries: readonly RegistryEntry[],
  replica: Pick<ReplicaTable, 'name'>,
  kept: readonly string[] = [],
): Promise<{ table: string; columns: string[] }[]> {
  const readers: { table: string; columns: string[] }[] = []
  for (const entry of entries) {
    const read = (await columnsOf(warehouse, entry)).get(`crm.${replica.name}`)
    const missed = [...(read ?? [])].filter((column) => !kept.includes(column))
    if (read && (kept.length === 0 || missed.length > 0)) readers.push({ table: entry.name, columns: missed })
  }
  return readers
}

/**
 * TOO_MANY_ARGUMENTS_FOR_FUNCTION, TOO_FEW_ARGUMENTS_FOR_FUNCTION, BAD_ARGUMENTS, NUMBER_OF_ARGUMENTS_DOESNT_MATCH,
 * ILLEGAL_TYPE_OF_ARGUMENT, ILLEGAL_COLUMN, UNKNOWN_FUNCTION, TYPE_MISMATCH, SYNTAX_ERROR, MULTIPLE_EXPRESSIONS_FOR_ALIAS,
 * ILLEGAL_AGGREGATION, AMBIGUOUS_IDENTIFIER, NOT_AN_AGGREGATE, NO_COMMON_TYPE: as it is written, it can be asked of nothing.
 */
const malformed = new Set([34, 35, 36, 42, 43, 44, 46, 53, 62, 179, 184, 207, 215, 386])

/** The columns that the SELECT reads, by `database.table`; none where ClickHouse could never take it as it is. */
async function columnsOf(warehouse: Warehouse, entry: RegistryEntry): Promise<Map<string, Set<string>>> {
  try {
    return await readColumns(warehouse, {
      name: `tables-read-for ${entry.name}`,
      select: usersSql('SELECT arrayJoin({keys:Array(String)}) AS key', entry),
      params: { keys: [] },
    })
  } catch (error) {
    const code = clickHouseErrorCode(error) ?? 0
    if (lacking.has(code) || malformed.has(code)) return new Map()
    throw error
  }
}
