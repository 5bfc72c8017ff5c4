import pg from 'pg'
import { z } from 'zod'
import { chLiteral } from '../derive/sql-names.ts'
import { keyId, readBuckets, readDigests } from './verify-checksums.ts'
import type { ColumnRendering } from './verify-rendering.ts'
import type { Compared, Side } from './verify-sides.ts'

/** A value that is not the same on both sides, each as text; `undefined` when there is no such row. */
export type Difference = {
  /** Key columns as text, in key order. */
  key: string[]
  /** `row` when one side has no such row. */
  column: string
  source: string | null | undefined
  replica: string | null | undefined
}

/** Rows of a bucket that differs are read whole as far as keys and digests go: few enough of them. */
const rowsPerBucket = 64n
const maxBuckets = 1 << 16
const digestsAtOnce = 50_000n

/**
 * Keys whose rows are not the same on both sides, found without reading the others: by checksums of buckets, and
 * in the buckets that differ by a digest of each row. They come in groups.
 */
export async function* differingKeys(
  source: readonly Side[],
  replica: readonly Side[],
  rows: bigint,
): AsyncGenerator<string[][]> {
  let buckets = 1
  while (BigInt(buckets) * rowsPerBucket < rows && buckets < maxBuckets) buckets *= 2
  const [left, right] = await Promise.all([readBuckets(source, buckets), readBuckets(replica, buckets)])
  const differing = [...new Set([...left.keys(), ...right.keys()])].filter(
    (bucket) => left.get(bucket)?.checksums !== right.get(bucket)?.checksums,
  )
  let group: bigint[] = []
  let size = 0n
  for (const [index, bucket] of differing.entries()) {
    group.push(bucket)
    size += (left.get(bucket)?.rows ?? 0n) + (right.get(bucket)?.rows ?? 0n)
    if (size < digestsAtOnce && index < differing.length - 1) continue
    yield await differingIn(source, replica, buckets, group)
    group = []
    size = 0n
  }
}

async function differingIn(
  source: readonly Side[],
  replica: readonly Side[],
  buckets: number,
  group: bigint[],
): Promise<string[][]> {
  const [left, right] = await Promise.all([
    readDigests(source, buckets, group),
    readDigests(replica, buckets, group),
  ])
  const ids = new Set([...left.keys(), ...right.keys()])
  return [...ids].filter((id) => left.get(id) !== right.get(id)).map((id): string[] => JSON.parse(id))
}

/** The texts of the rows of some keys, by key. */
export type Rows = Map<string, string[]>

const valuesRow = z.object({ __key: z.array(z.string()), __values: z.array(z.string()) })

/** A change that cannot be applied for a value of one group of columns is no row. */
export async function readRows(sides: readonly Side[], isOneOf: string): Promise<Rows> {
  let found: Rows | undefined
  for (const side of sides) {
    const sql = `SELECT ${side.array(side.key)} AS __key, ${side.array(side.values)} AS __values ${side.from} WHERE ${isOneOf}`
    const rows = (await side.run(valuesRow, sql)).map(({ __key, __values }) => ({
      id: keyId(__key),
      __values,
    }))
    const before = found
    const whole = before ? rows.filter(({ id }) => before.has(id)) : rows
    found = new Map(whole.map(({ id, __values }) => [id, [...(before?.get(id) ?? []), ...__values]]))
  }
  return found!
}

/** Finds rows by the renderings of their keys: with the key's index, where PostgreSQL can read them back. */
export function isOneOfAtSource({ key }: Compared, keys: readonly string[][]): string {
  const isReadable = key.every(({ sourceType }) => sourceType !== undefined)
  const columns = key.map(({ name, sourceSql }) => (isReadable ? pg.escapeIdentifier(name) : sourceSql))
  const literal = (text: string, { sourceType }: ColumnRendering) =>
    isReadable ? `${pg.escapeLiteral(text.slice(1))}::${sourceType}` : pg.escapeLiteral(text)
  const rows = keys.map((parts) => parts.map((part, place) => literal(part, key[place]!)).join(', '))
  return key.length === 1
    ? `${columns[0]} IN (${rows.join(', ')})`
    : `(${columns.join(', ')}) IN (VALUES ${rows.map((row) => `(${row})`).join(', ')})`
}

export function isOneOfAtReplica({ key }: Compared, keys: readonly string[][]): string {
  const rows = keys.map((parts) => `(${parts.map(chLiteral).join(', ')})`)
  return `(${key.map(({ replicaSql }) => replicaSql).join(', ')}) IN (${rows.join(', ')})`
}

/** What is not the same in the rows of some keys. */
export function differencesOf(
  { columns }: Compared,
  keys: readonly string[][],
  source: Rows,
  target: Rows,
): Difference[] {
  return keys.flatMap((key): Difference[] => {
    const [left, right] = [source.get(keyId(key)), target.get(keyId(key))]
    const named = { key: key.map((text) => text.slice(1)) }
    if (!left && !right) return []
    if (!left || !right) {
      return [{ ...named, column: 'row', source: left && 'there', replica: right && 'there' }]
    }
    return columns.flatMap(({ name }, place) =>
      left[place] === right[place]
        ? []
        : [{ ...named, column: name, source: shown(left[place]!), replica: shown(right[place]!) }],
    )
  })
}

const shown = (rendering: string) => (rendering === 'N' ? null : rendering.slice(1))
