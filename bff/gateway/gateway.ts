import type { IncomingHttpHeaders } from 'node:http'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { type HttpApp, type HttpEnv, requestLog } from '@tendon/platform/http-app.ts'
import type { Log } from '@tendon/platform/log.ts'
import type { Metrics } from '@tendon/platform/metrics.ts'
import { platformErrors } from '@tendon/platform/platform-errors.ts'
import { within } from '@tendon/platform/within.ts'
import { type Context, Hono } from 'hono'
import { bffErrors } from '../errors.ts'
import type { Audit } from '../protection/audit.ts'
import type { LoadedSession, Session } from '../sessions/session.ts'
import type { SessionStore } from '../sessions/session-store.ts'
import type { Freshen, NoteUse, SignedIn } from '../sessions/signed-in.ts'
import { nameOfSealed } from '../sessions/token-encryption.ts'
import { askInstances, asTendonError } from './attempts.ts'
import { createCoalescing } from './coalescing.ts'
import { type MatchedRoute, matchRoute } from './match-route.ts'
import { ClientGone, endWith, type Head, type Recorder } from './pass-through.ts'
import { headersForBrowser, headersForService } from './passed-headers.ts'
import { hasContent, requestBody } from './request-body.ts'
import type { GatewayRoute } from './route-table.ts'
import { createUpstream, type Upstream } from './upstream.ts'

type Exchange = MatchedRoute & { c: Context<HttpEnv>; loaded: LoadedSession }

/**
 * `/api/…`: the services behind the session, by the table of routes.
 * @param options.answerHeaders of every answer to a browser
 */
export function createGateway(options: {
  routes: GatewayRoute[]
  sessions: SessionStore
  signedIn: SignedIn
  freshen: Freshen
  noteUse: NoteUse
  audit: Audit
  answerHeaders: Record<string, string>
  now: () => number
  log: Log
  metrics: Metrics
}): { app: HttpApp; close(): Promise<unknown> } {
  const { routes, sessions, signedIn, freshen, noteUse, audit } = options
  const { answerHeaders, now, log, metrics } = options
  const upstreams = new Map<GatewayRoute, Upstream>(
    routes.map((route) => [route, createUpstream({ route, now, log })]),
  )
  const coalesce = createCoalescing()
  const coalesced = metrics.counter('coalesced_requests_total', 'Requests that another request was made for')
  const app = new Hono<HttpEnv>()

  app.all('/api/*', async (c) => {
    const matched = matchRoute(routes, c.env.incoming.url ?? '')
    if (!matched) throw platformErrors.notFound('No route of the gateway has this address.')
    const { methods, audience } = matched.route
    if (!methods.includes(c.req.method)) {
      throw bffErrors.methodNotAllowed('This address is not for that.', {
        headers: { allow: methods.join(', ') },
      })
    }
    const loaded = await noteUse(c, await freshen(c, await signedIn(c)))
    if (!loaded.session.audiences.includes(audience)) {
      throw bffErrors.audienceMissing(`The access token is not for ${audience}.`)
    }
    await answer({ ...matched, c, loaded })
    auditAnswer(c, matched.route, loaded.session)
    return RESPONSE_ALREADY_SENT
  })

  /** Who looked for others, or asked for what is another's: the service says whether one may. */
  function auditAnswer(c: Context<HttpEnv>, { findsOthers }: GatewayRoute, who: Session): void {
    const customerId = c.req.query('user_id')?.toLowerCase()
    const isAnothers = customerId !== undefined && customerId !== who.user.customer_id
    if (!isAnothers && !findsOthers) return
    const { statusCode } = c.env.outgoing
    const outcome = statusCode < 400 ? 'done' : statusCode === 403 ? 'refused' : 'failed'
    const path = c.req.path
    if (findsOthers) audit(c, { action: 'customer_search', outcome, who, path })
    else audit(c, { action: 'report_of_another', outcome, who, whom: { customer_id: customerId! }, path })
  }

  async function answer(exchange: Exchange): Promise<void> {
    const { c, route, upstreamPath, loaded } = exchange
    const isShared = route.isCoalesced && c.req.method === 'GET' && !isItsOwn(c.env.incoming.headers)
    if (!isShared) return ask(exchange)
    // For others, however many. Who asks for several has half of it for the question before, and they the rest for the answer.
    const longestWaitMs = route.timeouts.headersMs
    const turn = coalesce(
      // What was read of the session as well: another token may say less of who asks.
      [
        loaded.hash,
        nameOfSealed(loaded.stored),
        upstreamPath,
        ...variants.map((name) => c.env.incoming.headers[name]),
      ].join('\n'),
    )
    if (!turn.asks) {
      coalesced.inc()
      const recording = await upTo(turn.recording, longestWaitMs)
      return recording ? repeat(exchange, recording) : ask(exchange)
    }
    try {
      await upTo(turn.before, longestWaitMs / 2)
      await ask(exchange, turn.begin())
    } finally {
      turn.done()
    }
  }

  /** What another request of the same session has just been answered. */
  async function repeat({ c, loaded }: Exchange, recording: Head & { body: Buffer }): Promise<void> {
    await sessions.require(loaded.hash)
    c.env.outgoing.writeHead(recording.status, { ...recording.headers, 'x-request-id': c.get('requestId') })
    endWith(c.env.outgoing, recording.body)
  }

  async function ask(exchange: Exchange, recorder?: Recorder): Promise<void> {
    const { c, route, upstreamPath, loaded } = exchange
    const { incoming, outgoing } = c.env
    const question = {
      method: c.req.method,
      path: upstreamPath,
      headers: headersForService(incoming.headers, {
        authorization: `Bearer ${loaded.session.accessToken}`,
        'x-request-id': c.get('requestId'),
      }),
      body: requestBody(incoming, route.maxRequestBytes) ?? null,
    }
    try {
      await askInstances(upstreams.get(route)!, question, {
        outgoing,
        timeouts: route.timeouts,
        admit: (status, headers) => admit(exchange, status, headers),
        recorder,
      })
    } catch (failure) {
      giveUp(c, failure)
    }
  }

  /** Asked when the answer has come, and again while a long one goes on: signing out wins over it. */
  async function admit({ c, loaded }: Exchange, status: number, headers: IncomingHttpHeaders): Promise<Head> {
    await sessions.require(loaded.hash)
    // The token, and how a service is reached, are this side's affair: nobody can sign in again to mend it.
    if (status === 401 || status === 407)
      throw bffErrors.upstreamUnavailable('The service does not accept the sign-in.')
    return {
      status,
      headers: {
        ...answerHeaders,
        ...headersForBrowser(status, headers),
        'x-request-id': c.get('requestId'),
      },
    }
  }

  return { app, close: () => Promise.all([...upstreams.values()].map((upstream) => upstream.close())) }
}

/** What answers to one session may differ by. */
const variants = [
  'accept',
  'accept-encoding',
  'accept-language',
  'content-type',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-unmodified-since',
  'prefer',
]

/** Answered differently by what no key holds: a part of it (RFC 9110 §14.2), or what the request's content says. */
const isItsOwn = (headers: IncomingHttpHeaders) => headers.range !== undefined || hasContent(headers)

/** An answer that has begun can only be cut, so that nobody takes a part for the whole (RFC 9112 §8). */
function giveUp(c: Context<HttpEnv>, failure: unknown): void {
  const { outgoing } = c.env
  if (failure instanceof ClientGone) return
  if (!outgoing.headersSent) throw asTendonError(failure)
  requestLog(c).warn({ err: failure }, 'an answer was cut')
  // To HTTP/1.0, which nginx speaks unless told, an answer without a length ends with the connection: only a reset is no end.
  if (c.env.incoming.httpVersionMinor === 0) outgoing.socket?.resetAndDestroy()
  outgoing.destroy()
}

/** Undefined when it takes longer. */
function upTo<T>(work: Promise<T> | undefined, ms: number): Promise<T | undefined> | undefined {
  return work && within<T | undefined>(work, ms, () => undefined).catch(() => undefined)
}
