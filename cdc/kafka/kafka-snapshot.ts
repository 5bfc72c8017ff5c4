import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '@tendon/platform/log.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import type { Catalog } from '../derive/catalog.ts'
import { expandTombstonesSql } from '../derive/derive-view.ts'
import { cdcErrors } from '../errors.ts'
import { retry } from '../retry.ts'
import { snapshotTombstoneIndex, versionAt } from '../source/lsn.ts'
import type { Tell } from '../telling/teller.ts'
import { recordWholeRead } from '../whole-tables/record-whole-read.ts'
import { otherInsertsEnded } from '../whole-tables/running-inserts.ts'
import type { Connector } from './connect-rest.ts'
import { historyOf } from './derive-connector.ts'
import { awaitedEnds, hasReached, type KafkaProgress, type Offsets } from './kafka-progress.ts'

const pollIntervalMs = 100

/**
 * Sees a connector's initial snapshot through: once all of it is visible, rows that it did not find get a tombstone,
 * and the tables are recorded as read whole.
 * @param dealtWith offsets up to which the worker has come
 */
export async function finishInitialSnapshot(options: {
  connector: Connector
  warehouse: Warehouse
  catalog: Catalog
  progress: KafkaProgress
  /** Upper half of the versions of its rows. */
  base: bigint
  dealtWith: () => Offsets
  tell: Tell
  log: Log
  signal: AbortSignal
}): Promise<void> {
  const { connector, warehouse, catalog, progress, base, dealtWith, tell, log, signal } = options
  const again = { signal, log }
  const isStreaming = () => retry('asking for the snapshot', again, () => connector.isStreaming())
  while (!(await isStreaming())) await delay(pollIntervalMs, undefined, { signal })
  const made = await retry('reading the connector', again, () => connector.config())
  // Tombstones of another base than its rows have would be above all of them.
  if (!made || historyOf(made)?.base !== base) {
    throw cdcErrors.connectRefused(
      'The connector was made anew by somebody else during its initial snapshot.',
    )
  }
  const ends = awaitedEnds(await progress.bounds())
  await progress.visible(ends)
  while (!hasReached(dealtWith(), ends)) await delay(pollIntervalMs, undefined, { signal })
  await retry('waiting for inserts under way', again, () => otherInsertsEnded(warehouse, signal))
  const version = versionAt(base, snapshotTombstoneIndex)
  for (const replica of catalog.replicas) {
    await retry('deleting what has vanished', again, () =>
      warehouse.command(expandTombstonesSql(replica), {
        version: version.toString(),
        lsn: '0',
        tx_id: '0',
        committed_at: (BigInt(Date.now()) * 1000n).toString(),
      }),
    )
    await recordWholeRead({ warehouse, catalog, replica, version, rows: 0, tell, log, signal })
  }
}
