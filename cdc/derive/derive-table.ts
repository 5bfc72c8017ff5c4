import type { TendonError } from '@tendon/platform/errors.ts'
import type { SourceTable } from '../source/source-catalog.ts'
import type { ColumnMapping } from './column-mapping.ts'
import { mapColumn } from './column-mapping.ts'
import { chIdentifier, chLiteral } from './sql-names.ts'

/** A source table with how each column is held in the warehouse. */
export type ReplicaTable = {
  source: SourceTable
  /** Name of the table in the database `crm`, unquoted. */
  name: string
  columns: ColumnMapping[]
  key: ColumnMapping[]
  /** Columns that are held otherwise than the registry asks, or not at all, and why. */
  problems: TendonError[]
}

/** Tables of `public` keep their name; those of another schema have it in front, with a dot. */
export function replicaName(source: { schema: string; name: string }): string {
  return source.schema === 'public' ? source.name : `${source.schema}.${source.name}`
}

/** @throws TENDON-CDC-009 for a column of the key that cannot be mapped */
export function deriveReplica(source: SourceTable): ReplicaTable {
  const problems: TendonError[] = []
  const columns = source.columns.flatMap((column) => {
    const { mapping, problem } = mapColumn(source, column)
    if (problem) problems.push(problem)
    return mapping ?? []
  })
  const key = source.key.flatMap((name) => columns.find((column) => column.name === name) ?? [])
  if (key.length < source.key.length && problems[0]) throw problems[0]
  return { source, name: replicaName(source), columns, key, problems }
}

/** `crm.<table>`, quoted. */
export function replicaTableName(replica: Pick<ReplicaTable, 'name'>): string {
  return `crm.${chIdentifier(replica.name)}`
}

/** A column of a replica. Its comment tells it from one of the same name that is made later. */
export function columnDefinition(replica: ReplicaTable, column: ColumnMapping): string {
  const comment = chLiteral(columnComment(replica, column))
  return `${chIdentifier(column.name)} ${column.columnType} COMMENT ${comment}`
}

export function columnComment(replica: ReplicaTable, column: ColumnMapping): string {
  const number = replica.source.columns.find(({ name }) => name === column.name)?.number
  return `${replica.source.qualifiedName}, column ${number}`
}

/** `CREATE TABLE` of a replica. Its version decides which row of a key is shown, deleted ones are not. */
export function createReplicaSql(replica: ReplicaTable): string {
  const columns = replica.columns.map((column) => `  ${columnDefinition(replica, column)}`)
  return `
CREATE TABLE IF NOT EXISTS ${replicaTableName(replica)}
(
${columns.join(',\n')},
  _version UInt128 COMMENT 'Place in commit order, as in cdc.events',
  _deleted UInt8 COMMENT '1 when the row is gone'
)
ENGINE = ReplacingMergeTree(_version, _deleted)
ORDER BY (${replica.key.map((column) => chIdentifier(column.name)).join(', ')})`
}
