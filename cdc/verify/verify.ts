import { z } from 'zod'
import type { ReplicaTable } from '../derive/derive-table.ts'
import { pgTableName } from '../derive/sql-names.ts'
import { formatLsn } from '../source/lsn.ts'
import { rowsOf } from '../source/rows-of.ts'
import { atComparisonPoint, type ComparisonParts, type ComparisonPoint } from './comparison-point.ts'
import { repairRows } from './repair.ts'
import { addChecksums, type Checksums, equalChecksums, readChecksums } from './verify-checksums.ts'
import {
  type Difference,
  differencesOf,
  differingKeys,
  isOneOfAtReplica,
  isOneOfAtSource,
  readRows,
} from './verify-differences.ts'
import {
  type Compared,
  comparedColumns,
  groupsWith,
  replicaSides,
  type Side,
  sourceSides,
} from './verify-sides.ts'

export type ColumnVerdict = { column: string; equal: boolean; checksum: string }

export type TableVerdict = {
  table: string
  /** Where the source was compared, `16/B374D848`: everything committed before, and nothing after. */
  position: string
  rows: number
  replica_rows: number
  /** Whether rows and checksums are the same. They may not be although no key could be named. */
  equal: boolean
  /** Of each column, at that position; the key's columns stand first, as one. */
  columns: ColumnVerdict[]
  /** Keys whose rows differ; no more than asked for are looked for, unless they are repaired. */
  differing_keys: number
  has_more: boolean
  /** What differs, of the keys asked for. */
  differences: Difference[]
  /** Of those, whose rows the replica has taken. */
  repaired_keys: number
}

export type VerifyOptions = ComparisonParts & {
  replica: ReplicaTable
  /** How many keys are named. */
  limit?: number
  /** Whether differing rows are written into the log as the source has them. */
  repair?: boolean
  /** Called with keys as in the log, once the replica has their rows. */
  onRepaired?: (keys: string[]) => Promise<void>
  /** Called with the part of the source that is read, from 0 to 1. */
  onProgress?: (part: number) => void
}

const defaultLimit = 1000
const keysAtOnce = 1000

/**
 * Rows, and sums, may be taken for different that are not, when the log does not hold enough of a row that changes in this very
 * moment. A wrong row is wrong at every position.
 */
const positionsAsked = 3

/**
 * Compares a replica with its source at one position, while both go on changing: row counts, and a checksum of each
 * column, which each database computes of its own values. Only where these differ are keys read, and of the keys
 * that differ the values.
 */
export async function verifyTable(options: VerifyOptions): Promise<TableVerdict> {
  for (let turn = 1; ; turn++) {
    const verdict = await compare(options)
    // What was taken for different a moment ago was being changed; if not, it is different, whatever its key is.
    if (verdict.equal || verdict.differing_keys > 0 || turn === positionsAsked) return verdict
  }
}

/** At one position. */
async function compare(options: VerifyOptions): Promise<TableVerdict> {
  const { replica, repair = false, limit = defaultLimit } = options
  const all = comparedColumns(replica)
  return atComparisonPoint(options, replica, async (point) => {
    const [left, visibility] = await Promise.all([
      readSource(point, sourceSides(point.snapshot.client, replica, all), replica, options.onProgress),
      point.visibility,
    ])
    const right = await readChecksums(replicaSides(options.warehouse, replica, all, visibility))
    const differs = (group: number) => !equalChecksums(left[group]!, right[group]!)
    const verdict: TableVerdict = {
      table: replica.source.qualifiedName,
      position: formatLsn(point.snapshot.lsnBefore),
      rows: Number(left[0]!.rows),
      replica_rows: Number(right[0]!.rows),
      equal: !left.some((_, group) => differs(group)),
      columns: columnVerdicts(all, left, right),
      differing_keys: 0,
      has_more: false,
      differences: [],
      repaired_keys: 0,
    }
    if (verdict.equal) return verdict
    const compared = groupsWith(all, differs)
    const source = sourceSides(point.snapshot.client, replica, compared)
    const target = replicaSides(options.warehouse, replica, compared, visibility)
    const most = BigInt(Math.max(verdict.rows, verdict.replica_rows))
    for await (const keys of differingKeys(source, target, most)) {
      for (let from = 0; from < keys.length; from += keysAtOnce) {
        await lookInto(options, compared, keys.slice(from, from + keysAtOnce), verdict)
        verdict.has_more = !repair && verdict.differing_keys >= limit
        if (verdict.has_more) return verdict
      }
    }
    return verdict
  })
}

/** Compares the rows of some keys at later positions, and adds those that still differ to the verdict. */
async function lookInto(
  options: VerifyOptions,
  compared: Compared,
  suspects: string[][],
  verdict: TableVerdict,
): Promise<void> {
  const { replica, limit = defaultLimit } = options
  let keys = suspects
  for (let turn = 1; turn <= positionsAsked && keys.length > 0; turn++) {
    keys = await atComparisonPoint(options, replica, async (point) => {
      const visibility = await point.visibility
      const [source, target] = await Promise.all([
        readRows(sourceSides(point.snapshot.client, replica, compared), isOneOfAtSource(compared, keys)),
        readRows(
          replicaSides(options.warehouse, replica, compared, visibility),
          isOneOfAtReplica(compared, keys),
        ),
      ])
      const differing = keys.filter((key) => differencesOf(compared, [key], source, target).length > 0)
      if (turn < positionsAsked || differing.length === 0) return differing
      const shown = differing.slice(0, Math.max(0, limit - verdict.differing_keys))
      verdict.differences.push(...differencesOf(compared, shown, source, target))
      verdict.differing_keys += differing.length
      if (options.repair) {
        const keysInLog = await repairRows({
          ...options,
          compared,
          snapshot: point.snapshot,
          visibility,
          keys: differing,
        })
        if (keysInLog.length > 0) await options.onRepaired?.(keysInLog)
        verdict.repaired_keys += keysInLog.length
      }
      return differing
    })
  }
}

function columnVerdicts({ key, columns }: Compared, left: Checksums[], right: Checksums[]): ColumnVerdict[] {
  const keySum = (parts: Checksums[]) => parts.map(({ sums }) => sums[0]!)
  const ofColumns = ({ sums }: Checksums) => sums.slice(1)
  const [sums, others] = [left.flatMap(ofColumns), right.flatMap(ofColumns)]
  const [keys, otherKeys] = [keySum(left), keySum(right)]
  return [
    {
      column: key.map(({ name }) => name).join(', '),
      equal: keys.every((sum, place) => sum === otherKeys[place]),
      checksum: keys[0]!.toString(),
    },
    ...columns.map(({ name }, place) => ({
      column: name,
      equal: sums[place] === others[place],
      checksum: sums[place]!.toString(),
    })),
  ]
}

const sizeRow = z.object({ pages: z.coerce.number() })
/** 64 MiB at a time: one statement would say nothing of how far it is. */
const pagesAtOnce = 8192

async function readSource(
  { snapshot }: ComparisonPoint,
  sides: Side[],
  { source }: ReplicaTable,
  onProgress: (part: number) => void = () => {},
): Promise<Checksums[]> {
  const [size] = await rowsOf(
    snapshot.client,
    sizeRow,
    `SELECT pg_relation_size($1::regclass) / current_setting('block_size')::bigint AS pages`,
    [pgTableName(source)],
  )
  let sum: Checksums[] | undefined
  for (let from = 0; ; from += pagesAtOnce) {
    const isLast = source.isPartitioned || from + pagesAtOnce >= size!.pages
    const end = isLast ? '' : ` AND ctid < '(${from + pagesAtOnce},0)'`
    const where = source.isPartitioned ? '' : `WHERE ctid >= '(${from},0)'${end}`
    const part = await readChecksums(sides, where)
    sum = sum ? addChecksums(sum, part) : part
    if (isLast) return sum
    onProgress((from + pagesAtOnce) / size!.pages)
  }
}

/** Whether all of them were equal, or are now. */
export const isEqual = (verdicts: readonly TableVerdict[]) => verdicts.every(({ equal }) => equal)
