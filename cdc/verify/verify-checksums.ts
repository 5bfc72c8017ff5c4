import { z } from 'zod'
import type { Side } from './verify-sides.ts'

/** How many rows, and sums of hashes over them that no order changes: of the rows, then of each other column. */
export type Checksums = { rows: bigint; sums: bigint[] }

// Names that no column has: ClickHouse would take an alias for the column.
const digits = z.string().transform(BigInt)
const checksumRow = z.object({ __rows: digits, __sums: z.array(digits) })

const checksumsOf = ({ __rows, __sums }: z.output<typeof checksumRow>): Checksums => ({
  rows: __rows,
  sums: __sums,
})

const aggregates = (side: Side) =>
  `${side.count} AS __rows, ${side.array([side.rowHash, ...side.valueHashes].map(side.sum))} AS __sums`

/**
 * Of each group of columns. Two tables that differ have the same checksum of a column with a chance of 1 in 2^64.
 * @param where narrows the rows further
 */
export async function readChecksums(sides: readonly Side[], where = ''): Promise<Checksums[]> {
  const groups: Checksums[] = []
  for (const side of sides) {
    const [row] = await side.run(checksumRow, `SELECT ${aggregates(side)} ${side.from} ${where}`)
    groups.push(checksumsOf(row!))
  }
  return groups
}

export function addChecksums(left: readonly Checksums[], right: readonly Checksums[]): Checksums[] {
  return left.map(({ rows, sums }, group) => ({
    rows: rows + right[group]!.rows,
    sums: sums.map((sum, place) => sum + right[group]!.sums[place]!),
  }))
}

const textOf = ({ rows, sums }: Checksums) => `${rows}:${sums.join()}`

export const equalChecksums = (left: Checksums, right: Checksums): boolean => textOf(left) === textOf(right)

const bucketRow = checksumRow.extend({ __bucket: digits })

/** How many rows a bucket of keys has, and what tells them from others. */
export type Bucket = { rows: bigint; checksums: string }

/** The same for each bucket of keys, by the lowest bits of their hash. */
export async function readBuckets(sides: readonly Side[], buckets: number): Promise<Map<bigint, Bucket>> {
  const found = new Map<bigint, Bucket>()
  for (const [group, side] of sides.entries()) {
    const rows = await side.run(
      bucketRow,
      `SELECT ${side.and(side.rowHash, buckets - 1)} AS __bucket, ${aggregates(side)} ${side.from} GROUP BY __bucket`,
    )
    for (const { __bucket, ...rest } of rows) {
      const before = found.get(__bucket)
      const checksums = `${before?.checksums ?? ''} ${group}:${textOf(checksumsOf(rest))}`
      found.set(__bucket, { rows: before?.rows ?? rest.__rows, checksums })
    }
  }
  return found
}

const keyRow = z.object({ __key: z.array(z.string()), __digest: z.string() })

/** A key's renderings as one text. */
export const keyId = (key: readonly string[]) => JSON.stringify(key)

/** The keys in some of the buckets, each with digests of its row's values. */
export async function readDigests(
  sides: readonly Side[],
  buckets: number,
  wanted: readonly bigint[],
): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const [group, side] of sides.entries()) {
    const rows = await side.run(
      keyRow,
      `SELECT ${side.array(side.key)} AS __key, ${side.digest(side.valueHashes)} AS __digest ${side.from}
       WHERE ${side.and(side.rowHash, buckets - 1)} IN (${wanted.join(', ')})`,
    )
    for (const { __key, __digest } of rows) {
      const id = keyId(__key)
      found.set(id, `${found.get(id) ?? ''} ${group}:${__digest}`)
    }
  }
  return found
}
