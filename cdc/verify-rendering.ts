import pg from 'pg'
import type { ColumnMapping } from './column-mapping.ts'
import type { ReplicaTable } from './derive-table.ts'
import type { BaseType } from './source-catalog.ts'
import { chIdentifier } from './sql-names.ts'

/** How a column's value becomes the same text in both databases, by their own means and not the feed's. */
export type ColumnRendering = {
  sourceSql: string
  replicaSql: string
  /** For texts that may differ though the values do not. */
  isSame: (source: string, replica: string) => boolean
}

type Rendering = { source: (column: string) => string; replica: (column: string) => string }

const text: Rendering = { source: (column) => column, replica: (column) => `toString(${column})` }

/** Bit for bit; only NaN has many forms. */
const float = (bits: 32 | 64): Rendering => ({
  source: (column) =>
    `CASE WHEN ${column} = 'NaN' THEN 'NaN' ELSE encode(float${bits / 8}send(${column}), 'hex') END`,
  replica: (column) =>
    `if(isNaN(${column}), 'NaN', lower(leftPad(hex(reinterpretAsUInt${bits}(${column})), ${bits / 4}, '0')))`,
})

/** Saturated at what the replica's type can hold. */
const timestamp: Rendering = {
  source: (column) =>
    `CASE WHEN ${column} IS NOT NULL THEN (extract(epoch FROM greatest(least(${column},
       '2299-12-31 23:59:59.999999'), '1900-01-01')) * 1000000)::bigint::text END`,
  replica: (column) => `toString(toUnixTimestamp64Micro(${column}))`,
}

const date: Rendering = {
  source: (column) =>
    `CASE WHEN ${column} IS NOT NULL THEN greatest(least(${column}, '2299-12-31'), '1900-01-01')::text END`,
  replica: (column) => `toString(${column})`,
}

const renderings: Record<string, Rendering> = {
  bool: { source: (column) => `${column}::text`, replica: text.replica },
  float4: float(32),
  float8: float(64),
  timestamp,
  timestamptz: timestamp,
  date,
  bytea: {
    source: (column) => `encode(${column}, 'hex')`,
    replica: (column) => `lower(hex(${column}))`,
  },
}

const array: Rendering = {
  source: (column) => `to_json(${column}::text[])::text`,
  replica: (column) => `toString(${column})`,
}

export function renderColumn(replica: ReplicaTable, column: ColumnMapping): ColumnRendering {
  const { type } = replica.source.columns.find(({ name }) => name === column.name)!
  const source = pg.escapeIdentifier(column.name)
  const target = chIdentifier(column.name)
  const decimal = /Decimal\((\d+), ?(\d+)\)/.exec(column.columnType)
  if (decimal) {
    return {
      sourceSql: `${source}::numeric(${decimal[1]}, ${decimal[2]})::text`,
      replicaSql: `toDecimalString(${target}, ${decimal[2]})`,
      isSame: () => false,
    }
  }
  if (type.element && type.element.name !== 'box') {
    const isNarrow = column.columnType === 'Array(String)'
    return {
      sourceSql: array.source(source),
      replicaSql: isNarrow ? `toJSONString(${target})` : array.replica(target),
      isSame: sameArrays(type.element),
    }
  }
  const rendering = renderings[type.name] ?? text
  return { sourceSql: rendering.source(source), replicaSql: rendering.replica(target), isSame: () => false }
}

/** The source's elements are all text, the replica's are JSON values; both keep their digits. */
function sameArrays(element: BaseType): (source: string, replica: string) => boolean {
  return (source, replica) => {
    const wanted: unknown = JSON.parse(source)
    const found: unknown = JSON.parse(replica, (_name, value, context?: { source?: string }) =>
      typeof value === 'number' || typeof value === 'boolean' ? (context?.source ?? value) : value,
    )
    return sameElements(wanted, found, element)
  }
}

function sameElements(wanted: unknown, found: unknown, element: BaseType): boolean {
  if (Array.isArray(wanted) && Array.isArray(found)) {
    return (
      wanted.length === found.length &&
      wanted.every((part, index) => sameElements(part, found[index], element))
    )
  }
  if (typeof wanted !== 'string' || typeof found !== 'string') return wanted === found
  switch (element.name) {
    case 'float4':
    case 'float8':
      return Object.is(Number(wanted), Number(found))
    case 'bytea':
      return wanted === `\\x${found}`
    case 'date':
    case 'timestamp':
    case 'timestamptz':
      return wanted.replace(' ', 'T').replace(/\+00$/, '') === found.replace(/Z$/, '')
    default:
      return wanted === found
  }
}
