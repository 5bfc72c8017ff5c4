import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import type pg from 'pg'
import { z } from 'zod'
import type { ReplicaTable } from './derive-table.ts'
import { replicaTableName } from './derive-table.ts'
import { rawText } from './postgres-connection.ts'
import { pgRowsOf } from './sql-names.ts'
import { type ColumnRendering, renderColumn } from './verify-rendering.ts'

export type Difference = {
  /** Key columns as text. */
  key: string[]
  /** `row` when one side has no such row. */
  column: string
  source: string | null | undefined
  replica: string | null | undefined
}

export type TableVerdict = { table: string; rows: number; differences: Difference[] }

type Row = (string | null)[]

/** A row that is different because it is being changed is equal a moment later; a wrong one stays wrong. */
const maxAttempts = 5

/**
 * Compares a replica with its source, row for row and value for value, each rendered as text by its own database.
 * Both are read whole into memory.
 * @param caughtUp resolves when the feed has stored what was committed before the call
 */
export async function verifyTable(options: {
  source: pg.ClientBase
  warehouse: Warehouse
  replica: ReplicaTable
  caughtUp: () => Promise<void>
}): Promise<TableVerdict> {
  const { source, warehouse, replica, caughtUp } = options
  const renderings = replica.columns.map((column) => renderColumn(replica, column))
  let suspects: Set<string> | undefined
  for (let attempt = 1; ; attempt++) {
    const wanted = await readSource(source, replica, renderings)
    await caughtUp()
    const found = await readReplica(warehouse, replica, renderings)
    const differences = compare(replica, renderings, wanted, found).filter(
      ({ key }) => suspects?.has(key.join('\0')) ?? true,
    )
    if (differences.length === 0 || attempt === maxAttempts) {
      return { table: replica.source.qualifiedName, rows: wanted.size, differences }
    }
    suspects = new Set(differences.map(({ key }) => key.join('\0')))
  }
}

async function readSource(
  source: pg.ClientBase,
  replica: ReplicaTable,
  renderings: ColumnRendering[],
): Promise<Map<string, Row>> {
  const columns = renderings.map(({ sourceSql }) => sourceSql).join(', ')
  const result = await source.query({
    text: `SELECT ${columns} FROM ${pgRowsOf(replica.source)}`,
    rowMode: 'array',
    types: rawText,
  })
  return byKey(replica, result.rows)
}

async function readReplica(
  warehouse: Warehouse,
  replica: ReplicaTable,
  renderings: ColumnRendering[],
): Promise<Map<string, Row>> {
  const query = defineQuery({
    name: `verify ${replica.name}`,
    sql: `SELECT [${renderings.map(({ replicaSql }) => replicaSql).join(', ')}] AS texts FROM ${replicaTableName(replica)} FINAL`,
    params: z.object({}),
    row: z.object({ texts: z.array(z.string().nullable()) }),
  })
  const rows = await warehouse.query(query, {})
  return byKey(
    replica,
    rows.map(({ texts }) => texts),
  )
}

function byKey(replica: ReplicaTable, rows: Row[]): Map<string, Row> {
  const places = replica.key.map((column) => replica.columns.indexOf(column))
  return new Map(rows.map((row) => [places.map((place) => row[place]).join('\0'), row]))
}

function compare(
  replica: ReplicaTable,
  renderings: ColumnRendering[],
  wanted: Map<string, Row>,
  found: Map<string, Row>,
): Difference[] {
  const differences: Difference[] = []
  for (const [key, source] of wanted) {
    const row = found.get(key)
    if (!row) differences.push({ key: key.split('\0'), column: 'row', source: 'there', replica: undefined })
    else {
      renderings.forEach((rendering, place) => {
        const [left, right] = [source[place]!, row[place]!]
        if (left === right || (left !== null && right !== null && rendering.isSame(left, right))) return
        const column = replica.columns[place]!.name
        differences.push({ key: key.split('\0'), column, source: left, replica: right })
      })
    }
  }
  for (const key of found.keys()) {
    if (!wanted.has(key)) {
      differences.push({ key: key.split('\0'), column: 'row', source: undefined, replica: 'there' })
    }
  }
  return differences
}
