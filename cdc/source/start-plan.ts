import type { TendonError } from '@tendon/platform/errors.ts'
import type { Position } from '../changes/positions.ts'
import { cdcErrors } from '../errors.ts'
import { formatLsn } from './lsn.ts'

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
 */
export function planStart(state: {
  identity: SourceIdentity
  slot: Slot | undefined
  stored: Position | undefined
  slotName: string
  /** Tables were read whole under a publication that is not there any more. */
  isOtherPublication: boolean
}): StartPlan {
  const { identity, slot, stored, slotName, isOtherPublication } = state
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
  // The WAL of a time without it cannot be decoded (before PostgreSQL 18), or tells of nothing.
  if (isOtherPublication)
    return again(cdcErrors.publicationReplaced('The publication that tables were read under was dropped.'))
  return { kind: 'stream', from: stored }
}
