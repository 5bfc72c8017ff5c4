import { setTimeout as delay } from 'node:timers/promises'
import type { InvalidatedEvent } from '@tendon/contracts/invalidations.ts'
import { reportAdminRole } from '@tendon/contracts/roles.ts'
import type { SessionUser } from '@tendon/contracts/session-api.ts'
import { TendonError } from '@tendon/platform/errors.ts'
import { type HttpApp, type HttpEnv, requestLog } from '@tendon/platform/http-app.ts'
import type { Metrics } from '@tendon/platform/metrics.ts'
import { type Context, Hono } from 'hono'
import { type SSEStreamingApi, streamSSE } from 'hono/streaming'
import { z } from 'zod'
import { bffErrors } from '../errors.ts'
import type { SessionStore } from '../sessions/session-store.ts'
import type { Freshen, SignedIn } from '../sessions/signed-in.ts'
import type { InvalidationHub } from './invalidation-hub.ts'

/** A tab has one; browsers open at most six connections to a host over HTTP/1.1. */
const streamsPerSession = 12
/** How long a browser waits before it comes back after a connection was lost. */
const reconnectMs = 1_000

const query = z.strictObject({ user_id: z.tuple([z.guid().toLowerCase()]).optional() })
const lastEventId = z.string().regex(/^[0-9a-z]{1,64}$/)

export type ReportEvents = {
  app: HttpApp
  /** Ends all streams, so that a server can drain; browsers come back to another instance. */
  end(): void
}

/**
 * `GET /api/events` (Server-Sent Events, HTML Living Standard §9.2): says when the reports of whoever is signed in are
 * made anew; for staff, those of the customer they name.
 *
 * Each event's id is the generation, so that a browser that comes back (`Last-Event-ID`) is told at once if it has
 * missed anything, and nothing otherwise. A stream ends with its session, and when the provider no longer gives it the
 * right to hear: that is looked at before each event and with each heartbeat, with new tokens when it is time for them.
 * While the provider does not answer, nothing is told. Events that follow each other faster than the client reads become one.
 */
export function reportEvents(options: {
  hub: InvalidationHub
  sessions: SessionStore
  signedIn: SignedIn
  freshen: Freshen
  metrics: Metrics
  /** Proxies close what is silent for long: nginx after a minute (`proxy_read_timeout`). */
  heartbeatMs: number
}): ReportEvents {
  const { hub, sessions, signedIn, freshen, metrics, heartbeatMs } = options
  const open = metrics.gauge('event_streams', 'Streams of events that are open')
  const bySession = new Map<string, number>()
  const ending = new AbortController()
  const app = new Hono<HttpEnv>()

  app.get('/api/events', async (c) => {
    const loaded = await freshen(c, await signedIn(c))
    const parsed = query.safeParse(c.req.queries())
    if (!parsed.success) throw bffErrors.requestInvalid('query: is not as described.')
    const userId = listenedUser(loaded.session.user, parsed.data.user_id?.[0])
    if (!userId) throw bffErrors.eventsRefused('This login may not hear of the reports of that customer.')
    // Answered by this route too, and nobody would read the stream.
    if (c.req.method === 'HEAD') return c.body(null, 200, { 'content-type': 'text/event-stream' })
    if ((bySession.get(loaded.hash) ?? 0) >= streamsPerSession) {
      throw bffErrors.tooManyStreams('This session has too many streams of events open.')
    }
    const news = createNews()
    // Before the answer begins, so that it can still be 503.
    const since = lastEventId.safeParse(c.req.header('last-event-id')).data
    count(loaded.hash, 1)
    const { generation, leave } = await hub.listen(userId, since, news.put).catch((error) => {
      count(loaded.hash, -1)
      throw error
    })
    // Not kept by a proxy until its buffer is full (nginx, ngx_http_proxy_module, X-Accel-Buffering).
    c.header('x-accel-buffering', 'no')
    return streamSSE(
      c,
      async (stream) => {
        try {
          if (since === undefined || since === generation) {
            await stream.writeSSE({ event: 'ready', id: generation, data: '{}', retry: reconnectMs })
          }
          await tell(stream, { userId, news, isAllowed: () => isAllowed(c, loaded.id, userId) })
        } finally {
          leave()
          count(loaded.hash, -1)
        }
      },
      async (err) => requestLog(c).info({ err }, 'a stream of events ended early'),
    )
  })

  async function isAllowed(c: Context<HttpEnv>, sessionId: string, userId: string): Promise<Allowed> {
    const current = await sessions.load(sessionId)
    if (!current) return 'no'
    const fresh = await freshen(c, current).catch(unlessEnded)
    if (typeof fresh === 'string') return fresh
    return listenedUser(fresh.session.user, userId) === userId ? 'yes' : 'no'
  }

  async function tell(
    stream: SSEStreamingApi,
    about: { userId: string; news: News; isAllowed: () => Promise<Allowed> },
  ): Promise<void> {
    const { userId, news, isAllowed } = about
    const left = new AbortController()
    stream.onAbort(() => left.abort())
    // Who left before this is not told again.
    if (stream.aborted) return
    const signal = AbortSignal.any([left.signal, ending.signal])
    const data = JSON.stringify({ user_id: userId } satisfies InvalidatedEvent)
    while (!signal.aborted) {
      await news.wait(heartbeatMs, signal)
      if (signal.aborted) return
      const allowed = await isAllowed()
      if (allowed === 'no') return
      const id = allowed === 'yes' ? news.take() : undefined
      if (id === undefined) await stream.write(': still here\n\n')
      else await stream.writeSSE({ event: 'invalidated', id, data, retry: reconnectMs })
      // News that wait for the provider are no reason to ask it again at once.
      if (allowed === 'unknown') await delay(heartbeatMs, undefined, { signal }).catch(() => {})
    }
  }

  function count(hash: string, by: 1 | -1): void {
    const streams = (bySession.get(hash) ?? 0) + by
    if (streams > 0) bySession.set(hash, streams)
    else bySession.delete(hash)
    open.inc(by)
  }

  return { app, end: () => ending.abort() }
}

/** Whether a session may hear of what it listens to; unknown while the provider does not answer. */
type Allowed = 'yes' | 'no' | 'unknown'

function unlessEnded(err: unknown): Allowed {
  if (err instanceof TendonError && err.code === bffErrors.sessionEnded.code) return 'no'
  if (err instanceof TendonError && err.code === bffErrors.providerUnavailable.code) return 'unknown'
  throw err
}

type News = ReturnType<typeof createNews>

/** The newest generation that was not told yet. */
function createNews() {
  let newest: string | undefined
  let onPut = () => {}
  return {
    put(generation: string): void {
      newest = generation
      onPut()
    },
    take(): string | undefined {
      const taken = newest
      newest = undefined
      return taken
    },
    /** Resolves when there is one, after a time, or when the signal aborts. */
    wait: (ms: number, signal: AbortSignal) =>
      new Promise<void>((resolve) => {
        const timer = setTimeout(end, ms)
        function end() {
          clearTimeout(timer)
          signal.removeEventListener('abort', end)
          onPut = () => {}
          resolve()
        }
        onPut = end
        signal.addEventListener('abort', end)
        if (newest !== undefined || signal.aborted) end()
      }),
  }
}

/** Whose reports this login may hear of; undefined when of nobody's or not of the one asked for. */
function listenedUser(user: SessionUser, asked: string | undefined): string | undefined {
  const own = user.customer_id ?? undefined
  if (asked === undefined || asked === own) return own
  return user.roles.includes(reportAdminRole) ? asked : undefined
}
