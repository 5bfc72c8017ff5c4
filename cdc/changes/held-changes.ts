import type { EventHeader } from './event-batch.ts'
import { maxGrowth, maxOverhead } from './json-text.ts'
import type { TableCodec } from './table-codec.ts'
import { nullField, type TupleFields, unchangedField } from './tuple-fields.ts'

/**
 * A change that waits for values an UPDATE did not send: those kept out of line (TOAST) and left as they were.
 * Each value is JSON already; `undefined` for the missing, and for what is not carried.
 */
export type HeldChange = {
  header: EventHeader
  codec: TableCodec
  /** The key as in `cdc.events`, and the key under which the row was known before. */
  key: string
  formerKey: string
  values: (Buffer | undefined)[]
  /** Places of the missing values. */
  missing: number[]
}

const jsonNull = Buffer.from('null')

/** @param former the old key's fields where the key changed */
export function holdChange(
  header: EventHeader,
  codec: TableCodec,
  message: Buffer,
  fields: TupleFields,
  former: TupleFields | undefined,
): HeldChange {
  const missing: number[] = []
  const keyOnly = header.op === 'd'
  const values = codec.columns.map((column, place) => {
    if (column.isOmitted || (keyOnly && !column.isKey)) return undefined
    if (fields.starts[place] === unchangedField) {
      missing.push(place)
      return undefined
    }
    return jsonOf(codec, place, message, fields)
  })
  const key = keyOf(codec, message, fields)
  return {
    header: { ...header },
    codec,
    key,
    formerKey: former ? keyOf(codec, message, former) : key,
    values,
    missing,
  }
}

/** A row's key as in `cdc.events`. */
export function keyOf(codec: TableCodec, message: Buffer, fields: TupleFields): string {
  const members = codec.keyPlaces.map(
    (place) => `${codec.columns[place]!.label}${jsonOf(codec, place, message, fields)}`,
  )
  return `{${members.join(',')}}`
}

/** One value as JSON, in a Buffer of its own. */
export function jsonOf(codec: TableCodec, place: number, message: Buffer, fields: TupleFields): Buffer {
  const start = fields.starts[place]!
  if (start === nullField) return jsonNull
  const end = fields.ends[place]!
  return encodeValue(codec, place, message, start, end)
}

export function encodeValue(
  codec: TableCodec,
  place: number,
  source: Buffer,
  start: number,
  end: number,
): Buffer {
  const target = Buffer.allocUnsafe((end - start) * maxGrowth + maxOverhead)
  return target.subarray(0, codec.columns[place]!.write(source, start, end, target, 0))
}
