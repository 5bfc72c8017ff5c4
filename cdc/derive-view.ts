import { createHash } from 'node:crypto'
import type { ReplicaTable } from './derive-table.ts'
import { replicaTableName } from './derive-table.ts'
import { chIdentifier, chLiteral } from './sql-names.ts'

/** A materialized view; its name ends with a hash of its text, so that another text is another view. */
export type DerivedView = { name: string; sql: string }

const extracted = (position: number) => `tupleElement(fields, ${position})`

/** The views that carry a table's events on: into `crm.<table>`, and what does not fit into `cdc.dead_letters`. */
export function deriveViews(replica: ReplicaTable): DerivedView[] {
  const misfit = misfitSql(replica)
  return [
    namedView(replica, 'apply', replicaTableName(replica), applySql(replica)),
    ...(misfit ? [namedView(replica, 'misfits', 'cdc.dead_letters', misfit)] : []),
  ]
}

/** Views of this table have this in front of their hash. */
export function viewNamePrefix(replica: Pick<ReplicaTable, 'name'>, purpose: 'apply' | 'misfits'): string {
  return `${purpose} ${replica.name} `
}

function namedView(
  replica: ReplicaTable,
  purpose: 'apply' | 'misfits',
  target: string,
  select: string,
): DerivedView {
  const hash = createHash('sha256').update(select).digest('hex').slice(0, 12)
  const name = viewNamePrefix(replica, purpose) + hash
  return {
    name,
    sql: `CREATE MATERIALIZED VIEW IF NOT EXISTS cdc.${chIdentifier(name)} TO ${target} AS ${select}`,
  }
}

/** One parse of the row's JSON gives all columns, as a tuple; the first element shows that it was JSON at all. */
function parsedEvents(replica: ReplicaTable): string {
  const elements = replica.columns.map((column) => `${chIdentifier(column.name)} ${column.extractType}`)
  const tuple = `Tuple(__op String, ${elements.join(', ')})`
  return `
  SELECT *, JSONExtract(row, ${chLiteral(tuple)}) AS fields
  FROM cdc.events
  WHERE table = ${chLiteral(replica.source.qualifiedName)} AND op != 't'`
}

function fitsSql(replica: ReplicaTable): string[] {
  return replica.columns.flatMap((column, index) => column.fits?.(extracted(index + 2)) ?? [])
}

function applySql(replica: ReplicaTable): string {
  const values = replica.columns.map(
    (column, index) => `  ${column.value(extracted(index + 2))} AS ${chIdentifier(column.name)}`,
  )
  const fits = fitsSql(replica)
  return `
SELECT
${values.join(',\n')},
  version AS _version,
  deleted AS _deleted
FROM (${parsedEvents(replica)}
)
WHERE ${extracted(1)} != ''${fits.length > 0 ? ` AND (deleted = 1 OR (${fits.join(' AND ')}))` : ''}`
}

function misfitSql(replica: ReplicaTable): string | undefined {
  const fits = fitsSql(replica)
  if (fits.length === 0) return undefined
  return `
SELECT table, key, version, lsn, op, 'a value does not fit the type of its column' AS reason, 'json' AS encoding,
  row AS message, committed_at
FROM (${parsedEvents(replica)}
)
WHERE deleted = 0 AND NOT (${fits.join(' AND ')})`
}

/**
 * One tombstone for every row of the replica that is older than a version: what a TRUNCATE leaves behind, and what
 * a new snapshot did not find any more. Binds: version, lsn, tx_id, committed_at (microseconds since 1970).
 */
export function expandTombstonesSql(replica: ReplicaTable): string {
  const members = replica.key.flatMap((column, index) => [
    chLiteral(`${index === 0 ? '{' : ','}${JSON.stringify(column.name)}:`),
    column.keyJson(chIdentifier(column.name)),
  ])
  const table = chLiteral(replica.source.qualifiedName)
  const end = chLiteral(
    `,"__op":"d","__deleted":"true","__source_table":${JSON.stringify(replica.source.name)}}`,
  )
  return `
INSERT INTO cdc.events (table, key, version, lsn, op, deleted, row, tx_id, committed_at)
WITH concat(${members.join(', ')}) AS members
SELECT ${table}, concat(members, '}'), {version:UInt128}, {lsn:UInt64}, 'd', 1, concat(members, ${end}),
  {tx_id:UInt64}, fromUnixTimestamp64Micro({committed_at:Int64}, 'UTC')
FROM ${replicaTableName(replica)} FINAL
WHERE _version < {version:UInt128}
SETTINGS output_format_json_escape_forward_slashes = 0, output_format_json_quote_64bit_integers = 0`
}
