import type { Log } from '@tendon/platform/log.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import type { EventBatch } from '../changes/event-batch.ts'
import { type Position, type SourceHistory, writePosition } from '../changes/positions.ts'
import type { TableCodec } from '../changes/table-codec.ts'
import type { RegistryEntry } from '../registry.ts'
import { retry } from '../retry.ts'
import { firstChangeIndex, versionAt } from '../source/lsn.ts'
import { addKey, type TableChanges, type Versions } from '../telling/concerned-users.ts'
import type { Tell } from '../telling/teller.ts'

export type Confirmation = {
  /** Takes on a batch that is visible. */
  add(batch: EventBatch): void
  /** Notes keys that stand in the log: those of rows which a snapshot found gone among them. */
  addFromLog(entry: RegistryEntry, versions: Versions): void
  /** Notes that the source had nothing for us up to here. */
  addIdle(endLsn: bigint): void
  /** Resolves when everything taken on so far is confirmed. */
  settled(): Promise<void>
  /** Rejects when it cannot go on. */
  run(): Promise<never>
  isIdle(): boolean
}

type Pending = {
  tables: Map<string, TableChanges>
  versions: Versions | undefined
  endLsn: bigint | undefined
  newest: { version: bigint; committedAt: bigint } | undefined
  settled: (() => void)[]
}

const entryOf = (codec: TableCodec) => codec.replica.source.entry

const nothing = (): Pending => ({
  tables: new Map(),
  versions: undefined,
  endLsn: undefined,
  newest: undefined,
  settled: [],
})

/**
 * What comes after a change is visible: the users it concerns are invalidated, then the position is stored, and only
 * then is it acknowledged. Batches that arrive meanwhile are confirmed together, so that a slow reports-service
 * holds back the acknowledgement but not the changes.
 */
export function createConfirmation(options: {
  warehouse: Warehouse
  feed: string
  history: SourceHistory
  /** Where the last run has come to. */
  stored: Omit<Position, 'history'>
  tell: Tell
  acknowledge: (lsn: bigint) => void
  log: Log
  signal: AbortSignal
}): Confirmation {
  const { warehouse, feed, history, stored, tell, acknowledge, log, signal } = options
  let pending = nothing()
  let working = false
  let position = { ...stored }
  let wake: (() => void) | undefined

  function changesOf(entry: RegistryEntry): TableChanges {
    const known = pending.tables.get(entry.name)
    if (known) return known
    const changes = { entry, keys: new Set<string>(), hasMoreInLog: false }
    pending.tables.set(entry.name, changes)
    return changes
  }

  function widen(version: bigint): void {
    pending.versions ??= { from: version, to: version }
    if (version < pending.versions.from) pending.versions.from = version
    if (version > pending.versions.to) pending.versions.to = version
  }

  async function confirm({
    tables,
    versions = { from: 0n, to: 0n },
    endLsn,
    newest,
  }: Pending): Promise<void> {
    const again = { signal, log }
    const store = (change: Partial<Position>) => {
      position = { ...position, ...change }
      return retry('storing the position', again, () =>
        writePosition(warehouse, feed, { ...position, history }),
      )
    }
    // Before anybody is told to look again: the reports they get say which changes they have seen.
    if (newest) await store(newest)
    await tell(tables.values(), versions, signal)
    if (endLsn === undefined) return
    await store({ lsn: endLsn, wholeBefore: versionAt(endLsn + history.versionOffset, firstChangeIndex) })
    acknowledge(endLsn)
  }

  return {
    add(batch) {
      for (let event = 0; event < batch.ends.length; event++) {
        if (batch.keyEnds[event]! > batch.keyStarts[event]!) {
          addKey(changesOf(entryOf(batch.codecs[event]!)), batch.keyOf(event))
        }
      }
      for (const { codec } of batch.truncations) changesOf(entryOf(codec)).hasMoreInLog = true
      for (const event of [0, batch.ends.length - 1]) {
        if (event >= 0 && batch.ends.length > 0) widen(batch.versionOf(event))
      }
      pending.endLsn = batch.endLsn ?? pending.endLsn
      pending.newest = batch.newest ?? pending.newest
      wake?.()
    },
    addFromLog(entry, { from, to }) {
      changesOf(entry).hasMoreInLog = true
      widen(from)
      widen(to)
      wake?.()
    },
    addIdle(endLsn) {
      pending.endLsn = endLsn
      wake?.()
    },
    settled() {
      const { promise, resolve } = Promise.withResolvers<void>()
      pending.settled.push(resolve)
      wake?.()
      return promise
    },
    isIdle: () => !working && pending.endLsn === undefined && pending.tables.size === 0,
    async run() {
      for (;;) {
        signal.throwIfAborted()
        const { promise, resolve, reject } = Promise.withResolvers<void>()
        if (pending.endLsn === undefined && pending.tables.size === 0 && pending.settled.length === 0) {
          const abort = () => reject(signal.reason)
          signal.addEventListener('abort', abort, { once: true })
          wake = resolve
          await promise.finally(() => signal.removeEventListener('abort', abort))
        }
        wake = undefined
        const taken = pending
        pending = nothing()
        working = true
        await confirm(taken)
        working = false
        for (const settle of taken.settled) settle()
      }
    },
  }
}
