import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import type pg from 'pg'
import { z } from 'zod'
import type { ReplicaTable } from '../derive/derive-table.ts'
import { pgRowsOf } from '../derive/sql-names.ts'
import { rowsOf } from '../source/rows-of.ts'
import type { LogVisibility } from './log-visibility.ts'
import { replicaAtSnapshotSql } from './replica-at-snapshot.ts'
import { type ColumnRendering, renderColumn, renderingSettings } from './verify-rendering.ts'

/** Column renderings of a table: its key's in key order, and those of the other columns. */
export type Compared = { key: ColumnRendering[]; columns: ColumnRendering[] }

export function comparedColumns(replica: ReplicaTable): Compared {
  const rendered = replica.columns.map((column) => renderColumn(replica, column))
  const { key } = replica.source
  return {
    key: key.map((name) => rendered.find((column) => column.name === name)!),
    columns: rendered.filter(({ name }) => !key.includes(name)),
  }
}

/**
 * ClickHouse takes time with the square of how many columns a statement has, and 50,000 elements of it at most
 * (max_ast_elements): a table may have 1,600. Wider ones are compared by so many columns at a time, at one position.
 */
const columnsAtOnce = 100

function groupsOf({ key, columns }: Compared): Compared[] {
  const groups = []
  for (let from = 0; from === 0 || from < columns.length; from += columnsAtOnce)
    groups.push({ key, columns: columns.slice(from, from + columnsAtOnce) })
  return groups
}

/** The columns of some groups. */
export function groupsWith(compared: Compared, isWanted: (group: number) => boolean): Compared {
  const groups = groupsOf(compared).filter((_, place) => isWanted(place))
  return { key: compared.key, columns: groups.flatMap(({ columns }) => columns) }
}

/** The table as the connection's transaction sees it, by groups of columns, each with the whole key. */
export const sourceSides = (client: pg.ClientBase, replica: ReplicaTable, compared: Compared): Side[] =>
  groupsOf(compared).map((group) => sourceSide(client, replica, group))

/** The replica as it was at the same moment, by the same groups. */
export const replicaSides = (
  warehouse: Warehouse,
  replica: ReplicaTable,
  compared: Compared,
  visibility: LogVisibility,
): Side[] =>
  groupsOf(compared).map((group) => {
    const names = new Set([...group.key, ...group.columns].map(({ name }) => name))
    const columns = replica.columns.filter(({ name }) => names.has(name))
    return replicaSide(warehouse, { ...replica, columns }, group, visibility)
  })

/**
 * One side of a comparison, as SQL of its own database. What the statements made of it answer is the same on both
 * sides when the rows are.
 */
export type Side = {
  from: string
  /** The key's renderings, and a hash of all of them. */
  key: string[]
  rowHash: string
  /** The other columns' renderings, and of each a hash together with the key: values that changed places differ. */
  values: string[]
  valueHashes: string[]
  array: (texts: string[]) => string
  /** A text; it cannot overflow. */
  sum: (hash: string) => string
  count: string
  and: (hash: string, mask: number) => string
  /** 128 bits of many hashes. */
  digest: (hashes: string[]) => string
  run: <Row extends z.ZodType>(row: Row, sql: string) => Promise<z.output<Row>[]>
}

function sourceSide(client: pg.ClientBase, replica: ReplicaTable, { key, columns }: Compared): Side {
  // 64 bits of MD5: the two databases have no faster hash in common.
  const hash = (text: string) => `('x' || left(md5(${text}), 16))::bit(64)::bigint`
  const keys = key.map(({ sourceSql }) => sourceSql)
  const row =
    keys.length === 1 ? keys[0]! : keys.map((part) => `octet_length(${part}) || ':' || ${part}`).join(' || ')
  const values = columns.map(({ sourceSql }) => sourceSql)
  return {
    from: `FROM ${pgRowsOf(replica.source)} AS t`,
    key: keys,
    rowHash: hash(row),
    values,
    valueHashes: values.map((value) => hash(`${row} || '=' || ${value}`)),
    array: (texts) => `ARRAY[${texts.join(', ')}]::text[]`,
    sum: (one) => `coalesce(sum(${one}), 0)::text`,
    count: 'count(*)::text',
    and: (one, mask) => `(${one}) & ${mask}`,
    digest: (hashes) => `md5(array_to_string(ARRAY[${hashes.join(', ')}]::text[], ','))`,
    run: (shape, sql) => rowsOf(client, shape, sql),
  }
}

function replicaSide(
  warehouse: Warehouse,
  replica: ReplicaTable,
  { key, columns }: Compared,
  visibility: LogVisibility,
): Side {
  const hash = (text: string) => `reinterpretAsInt64(reverse(substring(MD5(${text}), 1, 8)))`
  const keys = key.map(({ replicaSql }) => replicaSql)
  const row =
    keys.length === 1
      ? keys[0]!
      : `concat(${keys.map((part) => `toString(length(${part})), ':', ${part}`).join(', ')})`
  const values = columns.map(({ replicaSql }) => replicaSql)
  return {
    from: `FROM (${replicaAtSnapshotSql(replica, visibility)})`,
    key: keys,
    rowHash: hash(row),
    values,
    valueHashes: values.map((value) => hash(`concat(${row}, '=', ${value})`)),
    array: (texts) => `[${texts.join(', ')}]::Array(String)`,
    sum: (one) => `toString(sum(toInt128(${one})))`,
    count: 'toString(count())',
    and: (one, mask) => `bitAnd(${one}, ${mask})`,
    digest: (hashes) =>
      `lower(hex(MD5(arrayStringConcat([${hashes.map((one) => `toString(${one})`).join(', ')}]::Array(String), ','))))`,
    run: (shape, sql) =>
      warehouse.query(
        defineQuery({
          name: `verify ${replica.name}`,
          sql: `${sql} SETTINGS ${renderingSettings}`,
          params: z.record(z.string(), z.unknown()),
          row: shape,
        }),
        visibility.params,
      ),
  }
}
