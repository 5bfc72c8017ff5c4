import { randomUUID } from 'node:crypto'
import { TendonError } from '@tendon/platform/errors.ts'
import type { Log } from '@tendon/platform/log.ts'
import { PostJsonError } from '@tendon/platform/post-json.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { cdcErrors } from '../errors.ts'
import type { FeedMetrics } from '../feed-metrics.ts'
import { retry } from '../retry.ts'
import type { TableChanges, Versions } from './concerned-users.ts'
import type { Invalidate } from './invalidate.ts'
import { tellUsers } from './tell-users.ts'
import { type TellingNote, writeNote } from './telling-notes.ts'

/** Resolves when everybody is told whose reports changes concern. @throws the signal's reason when it aborts */
export type Tell = (changes: Iterable<TableChanges>, versions: Versions, signal: AbortSignal) => Promise<void>

/** Well within the minute for which a note stands (telling-notes.ts). */
const noteAgainMs = 5_000
/** A table whose SELECT gives no ids of users does so with most of its changes. */
const straysAgainMs = 10 * 60_000

/** For all of a feed's life. What stands in its way is noted in the warehouse, where `cdc status` finds it. */
export function createTeller(options: {
  warehouse: Warehouse
  /** Name of the feed's replication slot. */
  feed: string
  invalidate: Invalidate
  log: Log
  metrics: FeedMetrics
}): Tell {
  const { warehouse, feed, invalidate, log, metrics } = options
  const worker = randomUUID()
  /** Calls that were in vain so far, one of each table that is read and of each partition at most. */
  const failing = new Set<object>()
  let notedAt: number | undefined
  /** By table and SELECT, since another SELECT is another cause. */
  const straysNotedAt = new Map<string, number>()

  async function note(noted: Omit<TellingNote, 'worker'>): Promise<void> {
    await writeNote(warehouse, feed, { worker, ...noted }).catch((err: unknown) =>
      log.debug({ err }, 'what stands in the way of telling was not noted'),
    )
  }

  async function noteFailure({ code, message }: TendonError): Promise<void> {
    metrics.untold(code)
    if (notedAt !== undefined && performance.now() - notedAt < noteAgainMs) return
    notedAt = performance.now()
    await note({ table: '', code, detail: message })
  }

  async function noteStrays(changes: TableChanges[], strays: Map<string, number>): Promise<void> {
    for (const { entry } of changes) {
      const count = strays.get(entry.name)
      if (count === undefined) continue
      metrics.strayUserIds(entry.name, count)
      const cause = `${entry.name} ${entry.users}`
      const before = straysNotedAt.get(cause)
      if (before !== undefined && performance.now() - before < straysAgainMs) continue
      straysNotedAt.set(cause, performance.now())
      const { code, message } = cdcErrors.strayUserIds(
        `Of ${entry.name}: ${count} of the values that its SELECT has given as user_id are no UUID.`,
      )
      log.warn({ error_code: code, table: entry.name, count }, message)
      await note({ table: entry.name, code, detail: message })
    }
  }

  return async (given, versions, signal) => {
    const changes = [...given]
    const call = {}
    try {
      await retry('telling whose reports have changed', { signal, log }, async () => {
        try {
          const { strays } = await tellUsers({ warehouse, changes, versions, invalidate, signal })
          await noteStrays(changes, strays)
        } catch (err) {
          if (signal.aborted) throw err
          const problem = tellingProblem(err)
          failing.add(call)
          await noteFailure(problem)
          throw problem
        }
      })
    } finally {
      failing.delete(call)
    }
    if (notedAt === undefined || failing.size > 0) return
    notedAt = undefined
    await note({ table: '', code: '', detail: '' })
  }
}

/** Why nobody could be told, which another attempt may mend, or somebody has to. */
function tellingProblem(err: unknown): TendonError {
  if (err instanceof TendonError) {
    return err.code === cdcErrors.usersRefused.code
      ? err
      : cdcErrors.tellingFails(`${err.message} (${err.code})`, { cause: err })
  }
  if (!(err instanceof PostJsonError)) {
    return cdcErrors.tellingFails('It failed unexpectedly; see the log of the feed.', { cause: err })
  }
  const { status = 0, message } = err
  // The client errors that pass by themselves (RFC 9110 §15.5.9, RFC 6585 §4).
  const isRefusal = status >= 400 && status < 500 && status !== 408 && status !== 429
  return (isRefusal ? cdcErrors.tellingRefused : cdcErrors.tellingFails)(`${message}.`, { cause: err })
}
