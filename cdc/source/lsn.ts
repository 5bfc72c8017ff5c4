/** A position in the WAL as PostgreSQL writes it, `16/B374D848`. */
export function formatLsn(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16)}/${(lsn & 0xffffffffn).toString(16)}`.toUpperCase()
}

export function parseLsn(text: string): bigint {
  const [high, low] = text.split('/')
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`)
}

/** At the start of a page positions may stand before its header or behind it. */
export const longestPageHeaderBytes = 40n

/** Whether a position is where the WAL ends: no change is as small as what lies between. */
export const isAtEnd = (lsn: bigint, walEnd: bigint): boolean =>
  walEnd >= lsn && walEnd - lsn <= longestPageHeaderBytes

/**
 * A change's place in commit order, as one UInt128.
 * @param lsn of the commit (or the snapshot's consistent point), with the history's offset added
 * @param index 0 tombstones of a snapshot, 1 its rows, from 2 on the changes of a transaction in their order
 */
export function versionAt(lsn: bigint, index: number): bigint {
  return (lsn << 64n) | BigInt(index)
}

/** The two halves of a version, as an event's header has them. */
export function versionHalves(version: bigint): { position: bigint; index: number } {
  return { position: version >> 64n, index: Number(version & 0xffff_ffff_ffff_ffffn) }
}

export const snapshotTombstoneIndex = 0
export const snapshotRowIndex = 1
export const firstChangeIndex = 2
