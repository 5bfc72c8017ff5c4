import type { TendonError } from '@tendon/platform/errors.ts'
import { cdcErrors } from './errors.ts'
import { formatLsn } from './lsn.ts'
import type { Position } from './positions.ts'

/** What IDENTIFY_SYSTEM says. */
export type SourceIdentity = { systemIdentifier: string; timeline: number; walEnd: bigint }

/** The feed's slot as pg_replication_slots shows it. */
export type Slot = { confirmedLsn: bigint; isLost: boolean; isActive: boolean }

export type StartPlan =
  | { kind: 'stream'; from: Position }
  /** @property reason undefined when nothing has been read before */
  | { kind: 'snapshot'; reason: TendonError | undefined }

/**
 * Whether the feed can go on where it was, or has to read everything again: nothing it has missed may go unnoticed.
 * @param unrecorded tables without a finished snapshot under their present place in the publication
 */
export function planStart(state: {
  identity: SourceIdentity
  slot: Slot | undefined
  stored: Position | undefined
  slotName: string
  unrecorded: string[]
}): StartPlan {
  const { identity, slot, stored, slotName, unrecorded } = state
  if (!stored) return { kind: 'snapshot', reason: undefined }
  const again = (reason: TendonError): StartPlan => ({ kind: 'snapshot', reason })
  const { history, lsn } = stored

  if (identity.systemIdentifier !== history.systemIdentifier) {
    return again(cdcErrors.sourceChanged('The CRM database is another cluster than before.'))
  }
  if (identity.timeline !== history.timeline) {
    const change = `from timeline ${history.timeline} to ${identity.timeline}`
    return again(cdcErrors.sourceChanged(`The CRM database went ${change}: it was restored or failed over.`))
  }
  if (identity.walEnd < lsn) {
    const positions = `its WAL ends at ${formatLsn(identity.walEnd)}, and was read up to ${formatLsn(lsn)}`
    return again(cdcErrors.sourceChanged(`The CRM database went back: ${positions}.`))
  }
  if (!slot) return again(cdcErrors.slotLost(`The replication slot ${slotName} is not there any more.`))
  if (slot.isLost) return again(cdcErrors.slotLost(`The replication slot ${slotName} has lost its WAL.`))
  if (slot.confirmedLsn > lsn) {
    const positions = `up to ${formatLsn(slot.confirmedLsn)}, and the warehouse knows them up to ${formatLsn(lsn)}`
    return again(cdcErrors.warehouseBehindSlot(`Changes were confirmed ${positions}.`))
  }
  if (unrecorded.length > 0) {
    return again(cdcErrors.tableNotSnapshotted(`Not everything of ${unrecorded.join(', ')} has been read.`))
  }
  return { kind: 'stream', from: stored }
}
