import type { SourceSnapshot } from '../source/source-snapshot.ts'

/** Which events of `cdc.events` a snapshot of the source has seen: SQL conditions on an event, as a bind each. */
export type LogVisibility = {
  seen: string
  unseen: string
  params: Record<string, unknown>
}

/**
 * 64 GiB of WAL hold fewer than 2^31 commits, since a commit's record has over 32 bytes. Transaction ids of events
 * within it can be compared in 32 bits, as PostgreSQL does itself (docs, "Preventing Transaction ID Wraparound").
 */
const comparableBytes = 1n << 36n

/**
 * An event is seen when its transaction was over for the snapshot. A position in the WAL would not tell: a commit is
 * in the WAL, and may be in the log, a moment before other transactions see it (with a synchronous standby, as long
 * as that takes to answer). Behind Debezium, moreover, a version begins with the position of the commit before.
 *
 * Events of no transaction are rows that were read whole: seen when they were read before the snapshot. One that was
 * read in the same moments may be taken for older than it is; who finds a difference looks at a later snapshot.
 *
 * @param newestVersion in the log before the snapshot was taken. Events that are not in it yet stand above; the
 *   oldest that needs a look stands no further below than `comparableBytes`.
 * @param versionOffset of the source's history, which versions have on top
 */
export function logVisibility(
  snapshot: Pick<SourceSnapshot, 'xmax' | 'running' | 'lsnBefore'>,
  log: { newestVersion: bigint; versionOffset: bigint },
): LogVisibility {
  const before = snapshot.lsnBefore + log.versionOffset
  const newest = log.newestVersion >> 64n
  const floor = (newest < before ? newest : before) - comparableBytes
  const seen = `(version < {seenFrom:UInt128} OR if(tx_id = 0, version < {readBefore:UInt128},
    bitAnd(toInt64(tx_id) - {firstUnseen:Int64}, 4294967295) >= 2147483648
    AND tx_id NOT IN {running:Array(UInt64)}))`
  return {
    seen,
    unseen: `NOT ${seen}`,
    params: {
      seenFrom: ((floor > 0n ? floor : 0n) << 64n).toString(),
      readBefore: ((before + 1n) << 64n).toString(),
      firstUnseen: (snapshot.xmax & 0xffff_ffffn).toString(),
      running: snapshot.running.map((xid) => Number(xid & 0xffff_ffffn)),
    },
  }
}
