import type { TendonError } from '@tendon/platform/errors.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import type pg from 'pg'
import { readPosition } from '../changes/positions.ts'
import { readMemberships, readPublication } from '../derive/publication-members.ts'
import { readIdentity } from '../kafka/connector-history.ts'
import type { KafkaConfig } from '../options.ts'
import { isAtEnd } from '../source/lsn.ts'
import { readSlot } from '../source/replication-slot.ts'
import type { SourceTable } from '../source/source-catalog.ts'
import { planStart, type Slot, type SourceIdentity } from '../source/start-plan.ts'
import { isOtherPublication } from '../whole-tables/unread-tables.ts'

/** What of a feed a start depends on. */
type Feed = {
  source: pg.Client
  warehouse: Warehouse
  slotName: string
  publicationName: string
  crmDatabaseUrl: string
  /** undefined when the WAL is read in process */
  kafkaConfig?: KafkaConfig | undefined
}

/** Whether the feed, when it starts next, can go on where it was. */
export async function readNextStart(
  feed: Feed,
  tables: readonly SourceTable[],
  hasRead: boolean,
): Promise<{ identity: SourceIdentity; isAtEnd: boolean; problems: TendonError[] }> {
  const { source, warehouse, slotName, publicationName, crmDatabaseUrl, kafkaConfig } = feed
  // In this order, for the feed goes on meanwhile: a slot is never ahead of the position, nor that of the WAL's end.
  const slot = await readSlot(source, slotName)
  const stored = await readPosition(warehouse, slotName)
  const identity = await readIdentity(crmDatabaseUrl)
  const plan = planStart({
    identity,
    stored,
    slotName,
    slot: standingSlot(slot, { hasRead, isByKafka: kafkaConfig !== undefined }),
    isOtherPublication: hasRead && (await isPublicationGone(source, warehouse, publicationName, tables)),
  })
  return {
    identity,
    isAtEnd: stored !== undefined && isAtEnd(stored.lsn, identity.walEnd),
    problems: plan.kind === 'snapshot' && plan.reason ? [plan.reason] : [],
  }
}

/** Whether the one that tables were read under is not there any more. */
async function isPublicationGone(
  source: pg.Client,
  warehouse: Warehouse,
  publicationName: string,
  tables: readonly SourceTable[],
): Promise<boolean> {
  if (!(await readPublication(source, publicationName))?.complete) return true
  return isOtherPublication(warehouse, await readMemberships(source, publicationName, tables))
}

/** A connector that was just made has no slot yet; and what one confirms is kept by Kafka, however far the warehouse is. */
function standingSlot(slot: Slot | undefined, state: { hasRead: boolean; isByKafka: boolean }) {
  if (slot) return state.isByKafka ? { ...slot, confirmedLsn: 0n } : slot
  return state.hasRead ? undefined : { confirmedLsn: 0n, isLost: false, isActive: false }
}
