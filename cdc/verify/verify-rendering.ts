import pg from 'pg'
import type { ColumnMapping } from '../derive/column-mapping.ts'
import type { ReplicaTable } from '../derive/derive-table.ts'
import { chIdentifier } from '../derive/sql-names.ts'
import type { BaseType } from '../source/base-types.ts'

/**
 * How a column's value becomes the same text in both databases, by their own means and not the feed's. Each is an
 * SQL expression that is never NULL: `N` for NULL, otherwise `V` and the value's text.
 */
export type ColumnRendering = {
  name: string
  sourceSql: string
  replicaSql: string
  /**
   * Whether PostgreSQL reads a key's rendering as the value it came from, so that a row can be found by it; absent
   * where it does not.
   */
  sourceType?: string
}

/** Settings of ClickHouse that renderings rest on. */
export const renderingSettings = 'precise_float_parsing = 1'

/** Expressions of one value that is not NULL. */
type Rendering = { source: (value: string) => string; replica: (value: string) => string }

/** The type's own output: a cast to text would cut char(n) short, and lengthen inet. */
const text: Rendering = {
  source: (value) => `format('%s', ${value})`,
  replica: (value) => `toString(${value})`,
}

/** Types whose cast to text is their output, and whose text is read back as the same value. */
const plainTypes = new Set(['int2', 'int4', 'int8', 'numeric', 'uuid', 'text', 'varchar'])
const plain: Rendering = { source: (value) => `${value}::text`, replica: text.replica }

/** Bit for bit; only NaN has many forms. */
const float = (bits: 32 | 64): Rendering => ({
  source: (value) =>
    `CASE WHEN ${value} = 'NaN' THEN 'NaN' ELSE encode(float${bits / 8}send(${value}), 'hex') END`,
  replica: (value) =>
    `if(isNaN(${value}), 'NaN', lower(leftPad(hex(reinterpretAsUInt${bits}(${value})), ${bits / 4}, '0')))`,
})

/** Saturated at what the replica's type can hold. */
const timestamp: Rendering = {
  source: (value) =>
    `(extract(epoch FROM greatest(least(${value}, '2299-12-31 23:59:59.999999'), '1900-01-01')) * 1000000)::bigint::text`,
  replica: (value) => `toString(toUnixTimestamp64Micro(${value}))`,
}

const renderings: Record<string, Rendering> = {
  bool: plain,
  float4: float(32),
  float8: float(64),
  timestamp,
  timestamptz: timestamp,
  date: {
    source: (value) => `greatest(least(${value}, '2299-12-31'), '1900-01-01')::text`,
    replica: text.replica,
  },
  bytea: {
    source: (value) => `encode(${value}, 'hex')`,
    replica: (value) => `lower(hex(${value}))`,
  },
}

/**
 * ISO 8601 as the log has it, whichever feed wrote it: zeros at the end of a fraction are left out. Years before 1
 * and after 9999 have a sign.
 */
const isoText = (text: (token: string) => string): Rendering => ({
  source: (value) => `CASE
      WHEN NOT isfinite(${value}) THEN ${value}::text
      WHEN ${value} < '0001-01-01' THEN regexp_replace(${value}::text, '^\\d+(.*?)(\\+00)? BC$',
        CASE WHEN ${value} < '0001-01-01 BC' THEN '-' ELSE '' END || lpad((extract(year FROM ${value})::integer * -1 - 1)::text, 4, '0') || '\\1')
      WHEN ${value} >= '10000-01-01' THEN '+' || regexp_replace(${value}::text, '\\+00$', '')
      ELSE regexp_replace(${value}::text, '\\+00$', '') END`,
  replica: (token) =>
    `replaceRegexpOne(replaceOne(trimRight(${text(token)}, 'Z'), 'T', ' '), '([.][0-9]*?)0+$', '\\\\1')`,
})

const itself = (value: string) => value
/** Of a key, whose times are held as text. */
const timesAsText: Record<string, Rendering> = {
  date: isoText(itself),
  timestamp: isoText(itself),
  timestamptz: isoText(itself),
}

const unquoted = (token: string) => `JSONExtractString(${token})`
const asToken: Rendering = { source: plain.source, replica: (token) => token }

/** NaN and the infinities are strings in JSON. `renderingSettings` make the parsing exact. */
const floatElement = (bits: 32 | 64): Rendering => ({
  source: float(bits).source,
  replica: (token) => float(bits).replica(`toFloat${bits}OrZero(trim(BOTH '"' FROM ${token}))`),
})

/** How an element of a JSON array is rendered, from its token. */
const elementRenderings: Record<string, Rendering> = {
  int2: asToken,
  int4: asToken,
  int8: asToken,
  bool: asToken,
  float4: floatElement(32),
  float8: floatElement(64),
  date: isoText(unquoted),
  timestamp: isoText(unquoted),
  timestamptz: isoText(unquoted),
  bytea: { source: renderings.bytea!.source, replica: unquoted },
}

const textElement: Rendering = { source: text.source, replica: unquoted }

/** So that the end of one text cannot be taken for the beginning of the next. */
const withLength: Rendering = {
  source: (value) => `octet_length(${value}) || ':' || ${value}`,
  replica: (value) => `concat(toString(length(${value})), ':', ${value})`,
}

/** A JSON array's elements in their order, however deep: strings, numbers, words. */
const tokens = `'"(?:[^"\\\\\\\\]|\\\\\\\\.)*"|[^][,]+'`

/** A row of nothing but NULLs is one to IS NULL, and none to what is stored (PostgreSQL, 9.2). */
const isNull = (value: string) => `${value} IS NOT DISTINCT FROM NULL`

/** Of composites: in FROM, `unnest` would make columns of them. The brackets and commas alone, then the elements: `[[x,x],[x,x]]` and `1:a1:bN1:c`. */
function arrayRendering(element: BaseType): Rendering {
  const rendering = elementRenderings[element.name] ?? textElement
  return {
    source: (
      value,
    ) => `regexp_replace(to_json(${value}::text[])::text, '"(?:[^"\\\\]|\\\\.)*"|null', 'x', 'g') || (
      SELECT coalesce(string_agg(CASE WHEN ${isNull('e')} THEN 'N' ELSE
        (SELECT ${withLength.source('t')} FROM (SELECT ${rendering.source('e')} AS t) AS one) END, '' ORDER BY place), '')
      FROM (SELECT e, row_number() OVER () AS place FROM (SELECT unnest(${value}) AS e) AS elements) AS numbered)`,
    replica: (value) =>
      `concat(replaceRegexpAll(${value}, ${tokens}, 'x'), arrayStringConcat(arrayMap(e -> if(e = 'null', 'N', ${withLength.replica(rendering.replica('e'))}), extractAll(${value}, ${tokens}))))`,
  }
}

/** A replica's own array of texts, which is neither nested nor holds NULL. */
function narrowArrayRendering(element: BaseType): Rendering {
  return {
    source: arrayRendering(element).source,
    replica: (value) =>
      `concat('[', arrayStringConcat(arrayMap(e -> 'x', ${value}), ','), ']', arrayStringConcat(arrayMap(e -> ${withLength.replica('e')}, ${value})))`,
  }
}

/** A value that does not fit stays as it is, and differs. */
const decimalRendering = (scale: string): Rendering => ({
  source: (value) =>
    `CASE WHEN scale(trim_scale(${value})) <= ${scale} THEN round(${value}, ${scale}) ELSE ${value} END::text`,
  replica: (value) => `toDecimalString(${value}, ${scale})`,
})

export function renderColumn(replica: ReplicaTable, column: ColumnMapping): ColumnRendering {
  const { type } = replica.source.columns.find(({ name }) => name === column.name)!
  const rendering = renderingOf(column, type)
  const source = pg.escapeIdentifier(column.name)
  const target = chIdentifier(column.name)
  return {
    name: column.name,
    sourceSql: `CASE WHEN ${isNull(source)} THEN 'N' ELSE 'V' || ${rendering.source(source)} END`,
    // Whatever the mapping says: a replica may hold more than the source has.
    replicaSql: `if(isNull(${target}), 'N', concat('V', ${rendering.replica(`assumeNotNull(${target})`)}))`,
    ...(rendering === plain && { sourceType: type.name }),
  }
}

function renderingOf(column: ColumnMapping, type: BaseType): Rendering {
  const scale = /Decimal\(\d+, ?(\d+)\)/.exec(column.columnType)?.[1]
  if (scale !== undefined) return decimalRendering(scale)
  if (type.element && type.element.name !== 'box') {
    const isNarrow = column.columnType === 'Array(String)'
    return isNarrow ? narrowArrayRendering(type.element) : arrayRendering(type.element)
  }
  const asText = column.columnType === 'String' ? timesAsText[type.name] : undefined
  return asText ?? renderings[type.name] ?? (plainTypes.has(type.name) ? plain : text)
}
