import { TendonError } from '@tendon/platform/errors.ts'
import { cdcErrors } from '../errors.ts'
import type { SourceColumn, SourceTable } from '../source/source-catalog.ts'
import { chLiteral } from './sql-names.ts'

/** How one column gets from the row's JSON into `crm.<table>`. */
export type ColumnMapping = {
  name: string
  /** Type of the column in `crm.<table>`. */
  columnType: string
  /** Type that JSONExtract takes it out of the row with. */
  extractType: string
  /** SQL of the column's value from what was extracted. */
  value: (extracted: string) => string
  /** SQL that is true where the value can be held without loss; absent where it always can. */
  fits?: (extracted: string) => string
  /**
   * A row in which it is NULL is not applied: the column takes NULLs by now, which the replica does not know yet. The
   * feed notices, and reads the row again once the replica takes them too. If the column does not take them (NOT NULL
   * was off for a moment), the change is kept as a dead letter.
   */
  isRequired: boolean
  /** SQL of the value as it stands in the JSON of a key, from the column of `crm.<table>`. */
  keyJson: (column: string) => string
}

type Shape = Omit<ColumnMapping, 'name' | 'columnType' | 'extractType' | 'isRequired'> & {
  columnType: string
  extractType: string
}

const same = (extracted: string) => extracted
const asNumber = (column: string) => `toString(${column})`
const asText = (column: string) => `toJSONString(toString(${column}))`

const plain = (type: string, keyJson = asNumber): Shape => ({
  columnType: type,
  extractType: type,
  value: same,
  keyJson,
})
const text: Shape = plain('String', asText)

/**
 * Times come as ISO 8601 text, which sorts as they do between the years 1000 and 9999; before and after those, a
 * sign stands in front (`-0043-03-15`, `+10000-01-01`), and infinities are words.
 */
const saturated = (iso: string, low: string, parsed: string, high: string) =>
  `multiIf(startsWith(${iso}, '+') OR ${iso} >= '2300', ${high}, ${iso} < '1900', ${low}, ${parsed})`

const timestamp: Shape = {
  columnType: "DateTime64(6, 'UTC')",
  extractType: 'String',
  value: (iso) =>
    saturated(
      iso,
      "toDateTime64('1900-01-01 00:00:00', 6, 'UTC')",
      `parseDateTime64BestEffortOrNull(${iso}, 6, 'UTC')`,
      "toDateTime64('2299-12-31 23:59:59.999999', 6, 'UTC')",
    ),
  keyJson: (column) =>
    `concat('"', replaceOne(trimRight(trimRight(toString(${column}), '0'), '.'), ' ', 'T'), 'Z"')`,
}

const date: Shape = {
  columnType: 'Date32',
  extractType: 'String',
  value: (iso) =>
    saturated(
      iso,
      "toDate32('1900-01-01')",
      `toDate32OrNull(substring(${iso}, 1, 10))`,
      "toDate32('2299-12-31')",
    ),
  keyJson: (column) => `concat('"', toString(${column}), 'Z"')`,
}

const bytes: Shape = {
  columnType: 'String',
  extractType: 'String',
  value: (hex) => `unhex(${hex})`,
  keyJson: (column) => `concat('"', lower(hex(${column})), '"')`,
}

const shapes: Record<string, Shape> = {
  int2: plain('Int16'),
  int4: plain('Int32'),
  int8: plain('Int64'),
  bool: plain('Bool', (column) => `if(${column}, 'true', 'false')`),
  float4: plain('Float32'),
  float8: plain('Float64'),
  date,
  timestamp,
  timestamptz: timestamp,
  uuid: plain('UUID', (column) => `concat('"', toString(${column}), '"')`),
  bytea: bytes,
}

/** Narrower types that a registry entry may ask for. */
function narrowed(table: SourceTable, column: SourceColumn, type: string): Shape {
  const refuse = (reason: string) =>
    cdcErrors.columnNotSupported(`${table.qualifiedName}.${column.name} cannot be ${type}: ${reason}.`)
  const decimal = /^Decimal\((\d+), ?(\d+)\)$/.exec(type)
  if (decimal && column.type.name === 'numeric') {
    return {
      columnType: type,
      extractType: 'String',
      value: (digits) => `accurateCastOrNull(${digits}, ${chLiteral(type)})`,
      // A cast rounds what has more digits after the point.
      fits: (digits) =>
        `isNotNull(accurateCastOrNull(${digits}, ${chLiteral(type)})) AND match(${digits}, '^[^.]*([.]\\\\d{0,${decimal[2]}}0*)?$')`,
      keyJson: (name) => `concat('"', toDecimalString(${name}, ${decimal[2]}), '"')`,
    }
  }
  if (type === 'Array(String)' && column.type.name === 'array') {
    if (!column.notNull) throw refuse('ClickHouse has no array that is NULL')
    return {
      columnType: type,
      extractType: 'String',
      value: (json) => `JSONExtract(${json}, 'Array(String)')`,
      // An element that is NULL, or an array itself, would become a text.
      fits: (json) => `arrayAll(element -> startsWith(element, '"'), JSONExtractArrayRaw(${json}))`,
      keyJson: () => {
        throw refuse('it is part of the key')
      },
    }
  }
  if (type === 'LowCardinality(String)') return { ...text, columnType: type }
  throw refuse(`there is no such mapping of ${column.type.name}`)
}

const reservedNames = new Set(['_version', '_deleted'])

/**
 * How a column is held in the warehouse: by default without loss (times saturate at ClickHouse's range, 1900 to
 * 2299), or in the narrower type that the registry asks for.
 * @returns with TENDON-CDC-009 where that cannot be done: the default, or no mapping for a name that is taken
 */
export function mapColumn(
  table: SourceTable,
  column: SourceColumn,
): { mapping?: ColumnMapping; problem?: TendonError } {
  if (reservedNames.has(column.name) || column.name.startsWith('__')) {
    return {
      problem: cdcErrors.columnNotSupported(
        `${table.qualifiedName}.${column.name} has a name that is taken.`,
      ),
    }
  }
  const asked = table.entry.types?.[column.name]
  const standard = shapes[column.type.name] ?? text
  if (asked === undefined) return { mapping: mappingOf(table, column, standard) }
  try {
    return { mapping: mappingOf(table, column, narrowed(table, column, asked)) }
  } catch (error) {
    if (!(error instanceof TendonError)) throw error
    return { mapping: mappingOf(table, column, standard), problem: error }
  }
}

function mappingOf(table: SourceTable, { name, notNull }: SourceColumn, shape: Shape): ColumnMapping {
  // Key columns are never NULL, whatever the catalog says of partitioned tables' columns.
  if (table.key.includes(name)) return { ...shape, name, value: neverNull(shape), isRequired: false }
  if (notNull) {
    const held = (extracted: string) => `assumeNotNull(${extracted})`
    return {
      ...shape,
      name,
      isRequired: true,
      extractType: nullable(shape.extractType),
      value: (extracted) => neverNull(shape)(held(extracted)),
      ...(shape.fits && { fits: (extracted: string) => shape.fits!(held(extracted)) }),
    }
  }
  return {
    ...shape,
    name,
    isRequired: false,
    columnType: nullable(shape.columnType),
    extractType: nullable(shape.extractType),
    ...(shape.fits && { fits: orNull(shape.fits) }),
  }
}

const nullable = (type: string) =>
  type.startsWith('LowCardinality(')
    ? type.replace('LowCardinality(String)', 'LowCardinality(Nullable(String))')
    : `Nullable(${type})`

const orNull = (fits: (extracted: string) => string) => (extracted: string) =>
  `(isNull(${extracted}) OR (${fits(extracted)}))`

/** A tombstone has only its key: the other columns of it are whatever parses, and never shown. */
const neverNull = (shape: Shape) => (extracted: string) =>
  shape.value === same ? extracted : `assumeNotNull(${shape.value(extracted)})`
