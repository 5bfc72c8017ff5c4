import type { HttpApp, HttpEnv } from '@tendon/platform/http-app.ts'
import { type Context, Hono } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { errors, type Pool } from 'undici'
import { z } from 'zod'
import type { Cookies } from './cookies.ts'
import { bffErrors } from './errors.ts'
import type { RefreshTokens } from './refresh-tokens.ts'
import type { LoadedSession, SessionStore } from './session-store.ts'

/** The declared routes' parameters; whatever else an address has is refused, so that nothing unknown passes. */
const reportName = z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/, 'is not a name of a report')
const date = z.iso.date()
/** Staff name whose reports they want; who may do so is for the reports service to say. */
const listQuery = z.strictObject({ user_id: z.tuple([z.uuid()]).optional() })
/** What else a report is asked by, each declares: plain words. */
const word = z.string().regex(/^[a-z0-9]{1,16}$/, 'is not a plain word')
const linkQuery = listQuery.loose().catchall(z.tuple([word]))
/** W3C Trace Context §3.2. */
const traceparent = z.string().regex(/^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/)

const jsonType = /^application\/(problem\+)?json\b/

/**
 * `GET /api/reports…`: the reports service behind the session. The request that goes there is made anew, from
 * the session's token and checked parameters; no header, cookie or body of the browser's passes.
 * @param options.upstream connections to the reports service
 */
export function reportsGateway(options: {
  upstream: Pool
  sessions: SessionStore
  refreshTokens: RefreshTokens
  cookies: Cookies
}): HttpApp {
  const { upstream, sessions, refreshTokens, cookies } = options
  const app = new Hono<HttpEnv>()

  app.get('/api/reports', async (c) => {
    const loaded = await signedIn(c)
    return forward(c, loaded, '/reports', listQuery)
  })
  app.get('/api/reports/cdn/:date', async (c) => {
    const loaded = await signedIn(c)
    return forward(c, loaded, reportPath('prosthesis-daily', c.req.param('date')), linkQuery)
  })
  app.get('/api/reports/:report/:date', async (c) => {
    const loaded = await signedIn(c)
    return forward(c, loaded, reportPath(c.req.param('report'), c.req.param('date')), linkQuery)
  })

  async function signedIn(c: Context<HttpEnv>): Promise<LoadedSession> {
    const loaded = await sessions.load(cookies.sessionId(c) ?? '')
    if (!loaded) throw bffErrors.notSignedIn('Nobody is signed in here.')
    return loaded
  }

  async function forward(
    c: Context<HttpEnv>,
    loaded: LoadedSession,
    path: string,
    query: typeof listQuery | typeof linkQuery,
  ): Promise<Response> {
    const asked = Object.entries(parse(query, c.req.queries(), 'query')).flatMap(([name, value]) =>
      value ? [[name, value[0]]] : [],
    )
    const fresh = await refreshTokens(loaded)
    const answer = await ask(c, fresh, asked.length > 0 ? `${path}?${new URLSearchParams(asked)}` : path)
    // Signed out while the answer was on its way: it must not arrive any more.
    if (!(await sessions.exists(fresh.hash))) throw bffErrors.sessionEnded('You have been signed out.')
    return c.body(answer.body, answer.status, answer.headers)
  }

  async function ask(c: Context<HttpEnv>, { session }: LoadedSession, path: string) {
    const trace = traceparent.safeParse(c.req.header('traceparent'))
    const answer = await upstream
      .request({
        method: 'GET',
        path,
        headers: {
          accept: 'application/json',
          authorization: `Bearer ${session.accessToken}`,
          'x-request-id': c.get('requestId'),
          ...(trace.success && { traceparent: trace.data }),
        },
      })
      .then(async ({ statusCode, headers, body }) => ({
        statusCode,
        headers,
        body: await body.arrayBuffer(),
      }))
      .catch((cause) => {
        const timedOut =
          cause instanceof errors.HeadersTimeoutError || cause instanceof errors.BodyTimeoutError
        throw timedOut
          ? bffErrors.reportsTimeout('The reports service takes too long.', { cause })
          : bffErrors.reportsUnavailable('The reports service could not be reached.', { cause })
      })
    const type = String(answer.headers['content-type'])
    if (answer.statusCode === 401 || !jsonType.test(type)) {
      throw bffErrors.reportsUnavailable(
        `The reports service answered unexpectedly, with ${answer.statusCode}.`,
      )
    }
    const retryAfter = answer.headers['retry-after']
    return {
      status: answer.statusCode as ContentfulStatusCode,
      headers: { 'content-type': type, ...(typeof retryAfter === 'string' && { 'retry-after': retryAfter }) },
      body: answer.body,
    }
  }

  return app
}

function reportPath(report: string, day: string): string {
  return `/reports/${parse(reportName, report, 'report')}/${parse(date, day, 'date')}`
}

function parse<Type extends z.ZodType>(type: Type, value: unknown, name: string): z.infer<Type> {
  const parsed = type.safeParse(value)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw bffErrors.requestInvalid(`${[name, ...(issue?.path ?? [])].join('.')}: ${issue?.message}.`)
}
