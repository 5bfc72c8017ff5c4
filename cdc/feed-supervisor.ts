import { setTimeout as delay } from 'node:timers/promises'
import { TendonError } from '@tendon/platform/errors.ts'
import type { Log } from '@tendon/platform/log.ts'
import { cdcErrors } from './errors.ts'
import { pauseMs } from './retry.ts'
import { formatLsn, parseLsn } from './source/lsn.ts'
import { connectSource } from './source/postgres-connection.ts'
import { readWalEnd } from './source/source-position.ts'

/** How often the source is asked for its position while somebody waits for the feed to catch up. */
const askIntervalMs = 20

/**
 * After a change that cannot be read everything is read again. If it is not the last of its kind, twice as much time
 * passes before each next time, within an hour of the one before.
 */
const [firstPauseMs, longestPauseMs, forgottenAfterMs] = [500, 15 * 60_000, 60 * 60_000]

export type FeedStatus = {
  state: FeedState
  /** Everything committed below it is visible, and its users are invalidated: `16/B374D848`. */
  position: string | undefined
  /** Why the feed waits to connect again. */
  problem: { code: string; detail: string } | undefined
}

export type CdcFeed = {
  /** Starts in the background; the feed goes on by itself until it is stopped, whatever else starts and stops. */
  start(): void
  /** Stops within moments. What is not confirmed is read again by the next start. */
  stop(): Promise<void>
  /**
   * Resolves once everything committed at the source before the call is visible in `crm.*`, and the users it
   * concerns are invalidated.
   * @param lsn instead of the source's present position, `16/B374D848`
   */
  caughtUp(lsn?: string): Promise<void>
  status(): FeedStatus
  /** Rejects while changes are not streaming in, with the reason. */
  ready(): Promise<void>
}

export type FeedState = 'starting' | 'snapshot' | 'streaming' | 'waiting' | 'stopped'

/** What one life of a feed tells, and is told. */
export type FeedHooks = {
  /** Differences from the catalog that an earlier session has looked into. */
  explained: Set<string>
  /**
   * Tables of which changes may have been misread, and the place in commit order up to which a reading of the whole table puts that
   * right; undefined where the next session is to read it.
   */
  misread: Map<string, bigint | undefined>
  signal: AbortSignal
  onState: (state: FeedState) => void
  /** Everything committed below it is visible, its users are invalidated, and the position is stored. */
  onPosition: (lsn: bigint) => void
  /** How the session can be urged to move its position on. */
  onUrge: (urge: () => void) => void
  /** Somebody waits for the feed to catch up. */
  isAwaited: () => boolean
}

/** Keeps a feed running, session after session. `runSession` ends by throwing what ended it. */
export function superviseFeed(options: {
  crmDatabaseUrl: string
  log: Log
  runSession: (hooks: FeedHooks) => Promise<never>
  /** A session has ended with this error, and another one follows. */
  onInterrupted: (code: string) => void
}): CdcFeed {
  const { crmDatabaseUrl, log, runSession, onInterrupted } = options
  const stopping = new AbortController()
  const explained = new Set<string>()
  const misread: FeedHooks['misread'] = new Map()
  let state: FeedState = 'stopped'
  let position: bigint | undefined
  let problem: FeedStatus['problem']
  let urge: (() => void) | undefined
  let waiters: { lsn: bigint; resolve: () => void }[] = []
  let running: Promise<void> | undefined

  function onPosition(lsn: bigint): void {
    position = lsn
    for (const waiter of waiters.filter((candidate) => candidate.lsn <= lsn)) waiter.resolve()
    waiters = waiters.filter((waiter) => waiter.lsn > lsn)
  }

  async function keepRunning(): Promise<void> {
    let unreadable = 0
    let unreadableAt = Number.NEGATIVE_INFINITY
    for (let attempt = 0; !stopping.signal.aborted; attempt++) {
      try {
        await runSession({
          explained,
          misread,
          signal: stopping.signal,
          onState: (next) => {
            state = next
            if (next === 'streaming') [problem, attempt] = [undefined, 0]
          },
          onPosition,
          onUrge: (given) => {
            urge = given
          },
          isAwaited: () => waiters.length > 0,
        })
      } catch (err) {
        urge = undefined
        if (stopping.signal.aborted) return
        if (err instanceof TendonError && err.code === cdcErrors.schemaChanged.code) {
          log.info({ reason: err.message }, 'reading the catalog again')
          continue
        }
        problem = problemOf(err)
        onInterrupted(problem.code)
        state = 'waiting'
        log.warn({ err, attempt }, 'the feed was interrupted, connecting anew')
        if (problem.code === cdcErrors.changeUnreadable.code) {
          unreadable = performance.now() - unreadableAt < forgottenAfterMs ? unreadable + 1 : 0
          unreadableAt = performance.now()
          await pause(Math.min(firstPauseMs * 2 ** unreadable, longestPauseMs))
        }
      }
      await pause(pauseMs(attempt))
    }
  }

  async function pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: stopping.signal }).catch(() => {})
  }

  async function sourcePosition(): Promise<bigint> {
    const client = await connectSource(crmDatabaseUrl)
    try {
      return await readWalEnd(client)
    } finally {
      await client.end()
    }
  }

  return {
    start() {
      running ??= keepRunning()
    },
    async stop() {
      stopping.abort()
      await running
      state = 'stopped'
    },
    async caughtUp(text) {
      const lsn = text === undefined ? await sourcePosition() : parseLsn(text)
      if (position !== undefined && position >= lsn) return
      const { promise, resolve } = Promise.withResolvers<void>()
      waiters.push({ lsn, resolve })
      const ask = setInterval(() => urge?.(), askIntervalMs)
      await promise.finally(() => clearInterval(ask))
    },
    status: () => ({
      state,
      position: position === undefined ? undefined : formatLsn(position),
      problem,
    }),
    async ready() {
      if (state === 'streaming') return
      throw cdcErrors.notCaughtUp(`The feed is not streaming (${state}). ${problem?.detail ?? ''}`)
    },
  }
}

function problemOf(error: unknown): { code: string; detail: string } {
  return error instanceof TendonError
    ? { code: error.code, detail: error.message }
    : { code: cdcErrors.streamBroken.code, detail: 'The stream of changes ended unexpectedly; see the log.' }
}
