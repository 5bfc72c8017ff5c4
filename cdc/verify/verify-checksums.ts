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
 * Two tables that differ have the same checksum of a column with a chance of 1 in 2^64.
 * @param where narrows the rows further
 */
export async function readChecksums(side: Side, where = ''): Promise<Checksums> {
  const [row] = await side.run(checksumRow, `SELECT ${aggregates(side)} ${side.from} ${where}`)
  return checksumsOf(row!)
}

export function addChecksums(left: Checksums, right: Checksums): Checksums {
  return { rows: left.rows + right.rows, sums: left.sums.map((sum, place) => sum + right.sums[place]!) }
}

export function equalChecksums(left: Checksums | undefined, right: Checksums | undefined): boolean {
  return left?.rows === right?.rows && (left?.sums ?? []).every((sum, place) => sum === right?.sums[place])
}

const bucketRow = checksumRow.extend({ __bucket: digits })

/** The same for each bucket of keys, by the lowest bits of their hash. */
export async function readBuckets(side: Side, buckets: number): Promise<Map<bigint, Checksums>> {
  const rows = await side.run(
    bucketRow,
    `SELECT ${side.and(side.rowHash, buckets - 1)} AS __bucket, ${aggregates(side)} ${side.from} GROUP BY __bucket`,
  )
  return new Map(rows.map(({ __bucket, ...rest }) => [__bucket, checksumsOf(rest)]))
}

const keyRow = z.object({ __key: z.array(z.string()), __digest: z.string() })

/** A key's renderings as one text. */
export const keyId = (key: readonly string[]) => JSON.stringify(key)

/** The keys in some of the buckets, each with a digest of its row's values. */
export async function readDigests(
  side: Side,
  buckets: number,
  wanted: readonly bigint[],
): Promise<Map<string, string>> {
  const rows = await side.run(
    keyRow,
    `SELECT ${side.array(side.key)} AS __key, ${side.digest(side.valueHashes)} AS __digest ${side.from}
     WHERE ${side.and(side.rowHash, buckets - 1)} IN (${wanted.join(', ')})`,
  )
  return new Map(rows.map(({ __key, __digest }) => [keyId(__key), __digest]))
}
