import { randomUUID } from 'node:crypto'
import type { HttpBindings } from '@hono/node-server'
import { type Context, Hono } from 'hono'
import { HTTPException } from 'hono/http-exception'
import { TendonError } from './errors.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import { platformErrors } from './platform-errors.ts'

export type HttpEnv = { Bindings: HttpBindings; Variables: { requestId: string; serviceLog: Log } }
export type HttpApp = Hono<HttpEnv>

/** On the answer of a handler that wrote to the socket itself (@hono/node-server, `RESPONSE_ALREADY_SENT`). */
const alreadySentHeader = 'x-hono-already-sent'

/** Ids that came with the request are kept only if they are plain: they go into logs and headers. */
const plainId = /^[\w-]{8,64}$/

/**
 * What every service's HTTP side has: a request id, one log line a request, errors as problem documents
 * (RFC 9457), and `/healthz`, `/readyz`, `/metrics`.
 * @param options.ready rejects while the service cannot do its work; its error's text is not shown to the caller
 * @param options.operations false for an app that the public reaches whole: it has no `/healthz`, `/readyz`,
 *   `/metrics`
 */
export function createHttpApp(options: {
  log: Log
  metrics: Metrics
  ready?: () => Promise<unknown>
  operations?: boolean
}): HttpApp {
  const { log, metrics, ready, operations = true } = options
  const durations = metrics.histogram('http_request_duration_seconds', 'Time to answer a request', [
    'method',
    'route',
    'status',
  ])
  const app = new Hono<HttpEnv>()

  app.use(async (c, next) => {
    const startedAt = performance.now()
    const given = c.req.header('x-request-id')
    const requestId = given && plainId.test(given) ? given : randomUUID()
    c.set('requestId', requestId)
    c.set('serviceLog', log)
    await next()
    // Its head has gone with a status, which stands whatever came of the rest. Node is asked first: `c.res` makes headers to look at.
    const isSent = c.env?.outgoing?.headersSent || c.res.headers.has(alreadySentHeader)
    const status = isSent ? c.env.outgoing.statusCode : c.res.status
    // Not before: a handler that answers with a Response of its own would drop it. And not by `c.header`, which by now makes
    // the whole answer anew, its body a stream.
    if (!isSent) c.res.headers.set('x-request-id', requestId)
    const seconds = (performance.now() - startedAt) / 1000
    const route = routePattern(c)
    durations.observe({ method: c.req.method, route, status }, seconds)
    // The path without its query: queries carry signatures and codes.
    if (!quietRoutes.has(c.req.path)) {
      log.info(
        {
          request_id: requestId,
          method: c.req.method,
          path: c.req.path,
          status,
          duration_ms: Math.round(seconds * 1000),
        },
        'request',
      )
    }
  })
  if (operations) addOperations(app, metrics, ready)
  app.notFound((c) => problemResponse(c, platformErrors.notFound(`Nothing is found at ${c.req.path}.`)))
  app.onError((err, c) => {
    const error = err instanceof TendonError ? err : codedError(err)
    if (error.definition.status >= 500) requestLog(c).error({ err: error }, 'request failed')
    return problemResponse(c, error)
  })
  return app
}

/** `/healthz`, `/readyz` and `/metrics` of a service whose app the public reaches, for a port of their own. */
export function createOperationsApp(options: {
  log: Log
  metrics: Metrics
  ready?: () => Promise<unknown>
}): HttpApp {
  const { log, metrics, ready } = options
  const app = new Hono<HttpEnv>()
  app.use((c, next) => {
    c.set('requestId', randomUUID())
    c.set('serviceLog', log)
    return next()
  })
  addOperations(app, metrics, ready)
  return app
}

/** The log of what happens to one request; made when there is something to say, for mostly there is nothing. */
export function requestLog(c: Context<HttpEnv>): Log {
  return c.get('serviceLog').child({ request_id: c.get('requestId') })
}

function addOperations(app: HttpApp, metrics: Metrics, ready?: () => Promise<unknown>): void {
  app.get('/healthz', (c) => c.json({ status: 'ok' }))
  app.get('/readyz', async (c) => {
    try {
      await ready?.()
      return c.json({ status: 'ready' })
    } catch (err) {
      requestLog(c).warn({ err }, 'not ready')
      return problemResponse(c, platformErrors.notReady('This service is not ready yet.', { cause: err }))
    }
  })
  app.get('/metrics', async (c) => {
    const { contentType, body } = await metrics.expose()
    return c.body(body, 200, { 'content-type': contentType })
  })
}

/** The error that the caller is told for one without a code; what Hono's own middleware throws names a status. */
function codedError(cause: Error): TendonError {
  const status = cause instanceof HTTPException ? cause.status : 500
  if (status === 413) return platformErrors.bodyTooLarge('The body of the request is too large.', { cause })
  if (status < 500) return platformErrors.requestRefused('The request could not be understood.', { cause })
  return platformErrors.unexpected('Something went wrong on our side.', { cause })
}

const quietRoutes = new Set(['/healthz', '/readyz', '/metrics'])

/** The pattern that answered, not the path: a label per user would be without bound. */
function routePattern(c: Context): string {
  return c.req.routePath === '/*' || c.req.routePath === '*' ? 'unmatched' : c.req.routePath
}

/** An error as `application/problem+json` (RFC 9457), never cached. */
export function problemResponse(c: Context<HttpEnv>, error: TendonError): Response {
  const { body, ...init } = problemDocument(error, c.get('requestId'))
  return new Response(body, init)
}

/** The same before there is a context. */
export function problemDocument(error: TendonError, requestId: string) {
  const { status, title, help } = error.definition
  const { retryAfterSeconds, headers: ownHeaders } = error
  const body = {
    type: `urn:tendon:error:${error.code}`,
    title,
    status,
    detail: error.message,
    code: error.code,
    help,
    request_id: requestId,
  }
  const headers: Record<string, string> = {
    ...ownHeaders,
    'content-type': 'application/problem+json',
    'cache-control': 'no-store',
  }
  if (retryAfterSeconds !== undefined) headers['retry-after'] = String(retryAfterSeconds)
  if (status === 401) headers['www-authenticate'] = 'Bearer'
  return { status, headers, body: JSON.stringify(body) }
}
