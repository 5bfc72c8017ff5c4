import type { ReplicaTable } from '../derive/derive-table.ts'
import type { BaseType } from '../source/base-types.ts'
import { arrayWriter } from './json-array.ts'
import {
  type JsonWriter,
  writeBoolean,
  writeBytes,
  writeFloat,
  writeNumber,
  writeText,
  writeTime,
} from './json-text.ts'

export type CodecColumn = {
  name: string
  /** `"name":` */
  label: Buffer
  write: JsonWriter
  notNull: boolean
  isKey: boolean
  /** Not carried: left out by the registry, or not in the catalog any more. */
  isOmitted: boolean
}

/** What the encoder needs of a table, its columns in the order in which a row's values come. */
export type TableCodec = {
  replica: ReplicaTable
  qualifiedName: string
  columns: CodecColumn[]
  /** Places in `columns` of the key's, in key order. */
  keyPlaces: number[]
  /** `schema.table` as RowBinary writes it. */
  tableField: Buffer
  /** The members of a row's JSON that are the same in all rows. */
  sourceTable: string
}

/**
 * @param columnNames in the order in which values come: a Relation message's, or a SELECT's
 * @param formerTypes columns whose values are of a type of before: their text is kept as it is
 */
export function createTableCodec(
  replica: ReplicaTable,
  columnNames: readonly string[],
  formerTypes: ReadonlySet<string> = new Set(),
): TableCodec {
  const { source } = replica
  const columns = columnNames.map((name) => {
    const column = source.columns.find((candidate) => candidate.name === name)
    return {
      name,
      label: Buffer.from(`${JSON.stringify(name)}:`),
      write: column && !formerTypes.has(name) ? writerOf(column.type) : writeText,
      notNull: column?.notNull ?? false,
      isKey: source.key.includes(name),
      isOmitted: column === undefined,
    }
  })
  return {
    replica,
    qualifiedName: source.qualifiedName,
    columns,
    keyPlaces: source.key.map((name) => columnNames.indexOf(name)),
    tableField: rowBinaryString(source.qualifiedName),
    sourceTable: JSON.stringify(source.name),
  }
}

const writers: Record<string, JsonWriter> = {
  int2: writeNumber,
  int4: writeNumber,
  int8: writeNumber,
  float4: writeFloat,
  float8: writeFloat,
  bool: writeBoolean,
  date: writeTime,
  timestamp: writeTime,
  timestamptz: writeTime,
  bytea: writeBytes,
}

/** numeric, uuid, json, enums and all else are JSON strings of PostgreSQL's text. */
function writerOf(type: BaseType): JsonWriter {
  // The one type whose arrays are not separated by commas: its arrays stay PostgreSQL's text.
  if (type.element && type.element.name !== 'box') return arrayWriter(writerOf(type.element))
  return writers[type.name] ?? writeText
}

function rowBinaryString(text: string): Buffer {
  const bytes = Buffer.from(text)
  const length: number[] = []
  let rest = bytes.length
  for (; rest >= 0x80; rest >>= 7) length.push((rest & 0x7f) | 0x80)
  return Buffer.concat([Buffer.from([...length, rest]), bytes])
}
