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
   * SQL that is true where the value is of the column's type, which NULL is where the column takes it; absent where it
   * always is. A row is not applied in which it is not: the source has changed its shape. The feed notices, and
   * reads the row again once the replica has that shape too. If the column has the former shape again by then, the
   * change is kept as a dead letter.
   */
  isOfTypeSql?: (extracted: string) => string
  /** Of a column that takes NULL: what was extracted is NULL too where the row has a value of another type. */
  isNullIfOther?: boolean
  /** The same of a value in the row's JSON. */
  isOfType: (value: unknown) => boolean
  /** SQL of the value as it stands in the JSON of a key, from the column of `crm.<table>`. */
  keyJson: (column: string) => string
}

type Shape = Pick<ColumnMapping, 'columnType' | 'extractType' | 'value' | 'fits' | 'keyJson'> & {
  /** Whether a value that is not NULL is one of the type. */
  isOfType: (value: unknown) => boolean
  /** What a text has to look like to be one of the type. */
  pattern?: string
}

const same = (extracted: string) => extracted
const asNumber = (column: string) => `toString(${column})`
const asText = (column: string) => `toJSONString(toString(${column}))`

const plain = (type: string, isOfType: Shape['isOfType'], keyJson = asNumber): Shape => ({
  columnType: type,
  extractType: type,
  value: same,
  isOfType,
  keyJson,
})
const text: Shape = plain('String', () => true, asText)

const integer = (bits: 16 | 32 | 64) =>
  plain(
    `Int${bits}`,
    (value) =>
      Number.isInteger(value) && Number(value) >= -(2 ** (bits - 1)) && Number(value) <= 2 ** (bits - 1) - 1,
  )

const floatWords = new Set<unknown>(['NaN', 'Infinity', '-Infinity'])
const float = (bits: 32 | 64) =>
  plain(`Float${bits}`, (value) => typeof value === 'number' || floatWords.has(value))

/** A type whose values are texts of one form. */
const formed = (pattern: string, shape: Omit<Shape, 'pattern' | 'isOfType'>): Shape => {
  const form = new RegExp(pattern)
  return { ...shape, pattern, isOfType: (value) => typeof value === 'string' && form.test(value) }
}

/**
 * Times come as ISO 8601 text, which sorts as they do between the years 1000 and 9999; before and after those, a
 * sign stands in front (`-0043-03-15`, `+10000-01-01`), and infinities are words.
 */
const saturated = (iso: string, low: string, parsed: string, high: string) =>
  `multiIf(startsWith(${iso}, '+') OR ${iso} >= '2300', ${high}, ${iso} < '1900', ${low}, ${parsed})`

const day = '[+-]?[0-9]{4,}-[0-9]{2}-[0-9]{2}'

const timestamp = formed(`^(${day}T.*Z|-?infinity)$`, {
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
})

const date = formed(`^(${day}Z|-?infinity)$`, {
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
})

const bytes = formed('^([0-9a-f]{2})*$', {
  columnType: 'String',
  extractType: 'String',
  value: (hex) => `unhex(${hex})`,
  keyJson: (column) => `concat('"', lower(hex(${column})), '"')`,
})

/**
 * A time as the log has it. Of a key it has to be exact: two that are beyond ClickHouse's range would be one when
 * saturated.
 */
const exactTime = (shape: Shape): Shape => ({ ...shape, columnType: 'String', value: same, keyJson: asText })

const isUuid = (value: unknown) =>
  typeof value === 'string' && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value)

const shapes: Record<string, Shape> = {
  int2: integer(16),
  int4: integer(32),
  int8: integer(64),
  bool: plain(
    'Bool',
    (value) => typeof value === 'boolean',
    (column) => `if(${column}, 'true', 'false')`,
  ),
  float4: float(32),
  float8: float(64),
  date,
  timestamp,
  timestamptz: timestamp,
  uuid: plain('UUID', isUuid, (column) => `concat('"', toString(${column}), '"')`),
  bytea: bytes,
}

/** Beside LowCardinality(String), which holds the text of anything. */
const narrowerTypes: Record<string, string> = {
  numeric: 'Decimal(precision, scale)',
  array: 'Array(String), if it is NOT NULL,',
}

/** Of `Decimal`: ClickHouse docs, "Decimal". */
const maxPrecision = 76

/** As ClickHouse writes it, with which the replica's columns are compared. */
const spelled = (type: string) =>
  type
    .replace(/\s+/g, '')
    .replace(/^decimal/i, 'Decimal')
    .replace(',', ', ')

/** Narrower types that a registry entry may ask for. */
function narrowed(table: SourceTable, column: SourceColumn, asked: string): Shape {
  const refuse = (reason: string) =>
    cdcErrors.columnNotSupported(`${table.qualifiedName}.${column.name} cannot be ${asked}: ${reason}.`)
  const type = spelled(asked)
  const decimal = /^Decimal\((\d+), (\d+)\)$/.exec(type)
  if (decimal && column.type.name === 'numeric') {
    const [precision, scale] = [Number(decimal[1]), Number(decimal[2])]
    if (precision < 1 || precision > maxPrecision || scale > precision)
      throw refuse(`a Decimal has 1 to ${maxPrecision} digits, of which those after the point are a part`)
    return {
      columnType: type,
      extractType: 'String',
      value: (digits) => `accurateCastOrNull(${digits}, ${chLiteral(type)})`,
      // A cast rounds what has more digits after the point.
      isOfType: text.isOfType,
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
      isOfType: text.isOfType,
      // An element that is NULL, or an array itself, would become a text.
      fits: (json) => `arrayAll(element -> startsWith(element, '"'), JSONExtractArrayRaw(${json}))`,
      keyJson: () => {
        throw refuse('it is part of the key')
      },
    }
  }
  if (type === 'LowCardinality(String)') return { ...text, columnType: type }
  const narrower = narrowerTypes[column.type.name]
  throw refuse(
    `of ${column.type.name} there ${narrower ? `are ${narrower} and` : 'is'} LowCardinality(String)`,
  )
}

const reservedNames = new Set(['_version', '_deleted'])

/**
 * How a column is held in the warehouse: by default without loss (times outside the key saturate at ClickHouse's range,
 * 1900 to 2299), or in the narrower type that the registry asks for.
 * @returns with TENDON-CDC-009 where that cannot be done: the default, or no mapping for a name that is taken
 */
export function mapColumn(
  table: SourceTable,
  column: SourceColumn,
): { mapping?: ColumnMapping; problem?: TendonError } {
  if (reservedNames.has(column.name) || column.name.startsWith('__')) {
    return {
      problem: cdcErrors.columnNotSupported(
        `${table.qualifiedName}.${column.name} has a name that replicas or Debezium use themselves.`,
      ),
    }
  }
  const asked = table.entry.types?.[column.name]
  const shape = shapes[column.type.name] ?? text
  const isTime = shape === timestamp || shape === date
  const standard = isTime && table.key.includes(column.name) ? exactTime(shape) : shape
  if (asked === undefined) return { mapping: mappingOf(table, column, standard) }
  try {
    return { mapping: mappingOf(table, column, narrowed(table, column, asked)) }
  } catch (error) {
    if (!(error instanceof TendonError)) throw error
    return { mapping: mappingOf(table, column, standard), problem: error }
  }
}

function mappingOf(table: SourceTable, { name, notNull }: SourceColumn, shape: Shape): ColumnMapping {
  const { pattern, isOfType, ...held } = shape
  const extractType = nullable(shape.extractType)
  const matches = (extracted: string) =>
    pattern === undefined ? [] : [`match(assumeNotNull(${extracted}), ${chLiteral(pattern)})`]
  // Key columns are never NULL, whatever the catalog says of partitioned tables' columns.
  if (notNull || table.key.includes(name)) {
    const assumed = (extracted: string) => `assumeNotNull(${extracted})`
    return {
      ...held,
      name,
      extractType,
      value: (extracted) => neverNull(shape)(assumed(extracted)),
      ...(shape.fits && { fits: (extracted: string) => shape.fits!(assumed(extracted)) }),
      isOfTypeSql: (extracted) => [`isNotNull(${extracted})`, ...matches(extracted)].join(' AND '),
      isOfType: (value) => value !== null && isOfType(value),
    }
  }
  return {
    ...held,
    name,
    columnType: nullable(shape.columnType),
    extractType,
    ...(shape.fits && { fits: orNull(shape.fits) }),
    ...(pattern !== undefined && {
      isOfTypeSql: (extracted: string) => `(isNull(${extracted}) OR ${matches(extracted)[0]})`,
    }),
    isNullIfOther: pattern === undefined && shape.extractType !== 'String',
    isOfType: (value) => value === null || isOfType(value),
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
