import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import pg from 'pg'
import { z } from 'zod'
import { EventBatch, type EventHeader, eventColumns } from '../changes/event-batch.ts'
import { createTableCodec, type TableCodec } from '../changes/table-codec.ts'
import { type ReplicaTable, replicaTableName } from '../derive/derive-table.ts'
import { isOfTableSql, keyJsonSettings, keyMembersSql } from '../derive/derive-view.ts'
import { chIdentifier, pgRowsOf } from '../derive/sql-names.ts'
import { versionHalves } from '../source/lsn.ts'
import { rawText } from '../source/postgres-connection.ts'
import { jsonOfText } from '../source/source-rows.ts'
import type { SourceSnapshot } from '../source/source-snapshot.ts'
import type { LogVisibility } from './log-visibility.ts'
import { replicaAtSnapshotSql } from './replica-at-snapshot.ts'
import { keyId } from './verify-checksums.ts'
import { isOneOfAtReplica, isOneOfAtSource } from './verify-differences.ts'
import type { Compared } from './verify-sides.ts'

/** A row's values as JSON in the order of the codec's columns; those of its key alone when the source has no such row. */
type Restored = { op: 'r' | 'd'; key: string; values: (Buffer | undefined)[] }

/**
 * Writes rows into the log as the source's snapshot has them, and tombstones for those that it has not: the log
 * stays what the replica is made of. Each stands right above what the snapshot has seen of its key, and so below
 * every change that comes later.
 * @returns keys as in the log of those that the replica has taken; a value that does not fit its column is in a dead letter
 */
export async function repairRows(options: {
  warehouse: Warehouse
  replica: ReplicaTable
  compared: Compared
  snapshot: SourceSnapshot
  visibility: LogVisibility
  /** Their columns' renderings. */
  keys: string[][]
}): Promise<string[]> {
  const { warehouse, replica, snapshot, compared, keys, visibility } = options
  const codec = createTableCodec(
    replica,
    replica.source.columns.map(({ name }) => name),
  )
  const { rows, found } = await readSourceRows(snapshot.client, codec, compared, keys)
  const gone = keys.filter((key) => !found.has(keyId(key)))
  if (gone.length > 0)
    rows.push(...(await readTombstones(warehouse, replica, codec, compared, visibility, gone)))
  const versions = await readVersions(warehouse, replica, compared, visibility, keys, rows)
  const batch = new EventBatch()
  for (const { op, key, values } of rows) {
    const version = (versions.get(key) ?? -1n) + 1n
    const header: EventHeader = {
      ...versionHalves(version),
      lsn: Number(snapshot.lsnBefore),
      op,
      txId: 0,
      committedAt: snapshot.takenAt,
    }
    batch.appendJson(header, codec, values)
  }
  await warehouse.insertLines('cdc.events', batch.bytes.subarray(0, batch.length), 'RowBinary', eventColumns)
  const taken = await readTaken(warehouse, replica, compared, keys)
  return rows.filter(({ key }) => (taken.get(key) ?? -1n) > (versions.get(key) ?? -1n)).map(({ key }) => key)
}

async function readSourceRows(
  client: pg.Client,
  codec: TableCodec,
  compared: Compared,
  keys: string[][],
): Promise<{ rows: Restored[]; found: Set<string> }> {
  const columns = codec.columns.map(({ name }) => pg.escapeIdentifier(name))
  const renderings = compared.key.map(({ sourceSql }) => sourceSql)
  const result = await client.query({
    text: `SELECT ${[...columns, ...renderings].join(', ')} FROM ${pgRowsOf(codec.replica.source)} AS t
           WHERE ${isOneOfAtSource(compared, keys)}`,
    rowMode: 'array',
    types: rawText,
  })
  const answer: (string | null)[][] = result.rows
  return {
    rows: answer.map((row) => {
      const values = codec.columns.map((column, place) => jsonOfText(codec, column, row[place]!))
      return { op: 'r', key: keyOf(codec, values), values }
    }),
    found: new Set(answer.map((row) => JSON.stringify(row.slice(columns.length)))),
  }
}

function keyOf(codec: TableCodec, values: (Buffer | undefined)[]): string {
  return `{${codec.keyPlaces.map((place) => `${codec.columns[place]!.label}${values[place]}`).join(',')}}`
}

/** Keys that the source does not have, as JSON, from the rows that should not be there. */
async function readTombstones(
  warehouse: Warehouse,
  replica: ReplicaTable,
  codec: TableCodec,
  compared: Compared,
  visibility: LogVisibility,
  keys: string[][],
): Promise<Restored[]> {
  const texts = replica.key.map(({ name, keyJson }) => keyJson(chIdentifier(name)))
  const query = defineQuery({
    name: `keys of ${replica.name}`,
    sql: `SELECT [${texts.join(', ')}] AS __texts FROM (${replicaAtSnapshotSql(replica, visibility)})
          WHERE ${isOneOfAtReplica(compared, keys)} SETTINGS ${keyJsonSettings}`,
    params: z.record(z.string(), z.unknown()),
    row: z.object({ __texts: z.array(z.string()) }),
  })
  const rows = await warehouse.query(query, visibility.params)
  return rows.map(({ __texts }) => {
    const values = codec.columns.map(({ name }) => {
      const text = __texts[replica.source.key.indexOf(name)]
      return text === undefined ? undefined : Buffer.from(text)
    })
    return { op: 'd', key: keyOf(codec, values), values }
  })
}

const newestOfKey = z.object({ __key: z.string(), __newest: z.string().transform(BigInt) })

/** The newest version of each key that the snapshot has seen, in the log or in the replica. */
async function readVersions(
  warehouse: Warehouse,
  replica: ReplicaTable,
  compared: Compared,
  { seen, unseen, params }: LogVisibility,
  keys: string[][],
  rows: Restored[],
): Promise<Map<string, bigint>> {
  const ofKeys = `${isOfTableSql(replica)} AND key IN {keys:Array(String)}`
  const query = defineQuery({
    name: `versions of ${replica.name}`,
    sql: `
      SELECT __key, toString(max(__version)) AS __newest
      FROM (
        SELECT key AS __key, version AS __version FROM cdc.events WHERE ${ofKeys} AND ${seen}
        UNION ALL
        SELECT concat(${keyMembersSql(replica)}, '}'), _version FROM ${replicaTableName(replica)}
        WHERE ${isOneOfAtReplica(compared, keys)}
          AND _version NOT IN (SELECT version FROM cdc.events WHERE ${ofKeys} AND ${unseen})
      )
      GROUP BY __key
      SETTINGS ${keyJsonSettings}`,
    params: z.record(z.string(), z.unknown()),
    row: newestOfKey,
  })
  const versions = await warehouse.query(query, { ...params, keys: rows.map(({ key }) => key) })
  return new Map(versions.map(({ __key, __newest }) => [__key, __newest]))
}

/** The newest version of each key in the replica. */
async function readTaken(
  warehouse: Warehouse,
  replica: ReplicaTable,
  compared: Compared,
  keys: string[][],
): Promise<Map<string, bigint>> {
  const query = defineQuery({
    name: `versions in the replica of ${replica.name}`,
    sql: `
      SELECT concat(${keyMembersSql(replica)}, '}') AS __key, toString(max(_version)) AS __newest
      FROM ${replicaTableName(replica)} WHERE ${isOneOfAtReplica(compared, keys)} GROUP BY __key
      SETTINGS ${keyJsonSettings}`,
    params: z.object({}),
    row: newestOfKey,
  })
  const versions = await warehouse.query(query, {})
  return new Map(versions.map(({ __key, __newest }) => [__key, __newest]))
}
