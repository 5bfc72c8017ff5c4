import { TendonError } from '@tendon/platform/errors.ts'
import type { Log } from '@tendon/platform/log.ts'
import type { Metrics } from '@tendon/platform/metrics.ts'
import type { ObjectStore } from '@tendon/platform/object-store.ts'
import { platformErrors } from '@tendon/platform/platform-errors.ts'
import { type SigningKeys, verifySignedUrl } from '@tendon/platform/url-signature.ts'
import { Hono } from 'hono'
import { cdnErrors } from './errors.ts'
import { objectResponse } from './object-response.ts'

/** The rest of the store is nobody's business here, whatever was signed. */
const servedPrefix = 'reports/'

/**
 * The embedded stand-in for the CDN: serves signed URLs straight from the object store, and nothing else.
 *
 * The signature covers the path below the CDN's base URL. To serve it under a prefix, mount it so that the prefix
 * is taken off: `app.mount('/cdn', cdn.app.fetch)`.
 * @param options.corsOrigin the one origin whose pages may read the answers, when it is not the CDN's own
 * @param options.now milliseconds; tests pass their own clock
 */
export function createCdn(options: {
  store: ObjectStore
  keys: SigningKeys
  corsOrigin?: string | undefined
  log: Log
  metrics: Metrics
  now?: () => number
}): { app: Hono } {
  const { store, keys, corsOrigin, log, metrics, now = Date.now } = options
  const responses = metrics.counter('responses_total', 'Answers by status', ['status'])
  const refusals = metrics.counter('refused_links_total', 'Links that were not valid, by reason', ['reason'])
  const app = new Hono()

  app.use(async (c, next) => {
    await next()
    c.header('x-content-type-options', 'nosniff')
    if (corsOrigin) c.header('access-control-allow-origin', corsOrigin)
    responses.inc({ status: c.res.status })
  })

  app.all('*', async (c) => {
    const { method } = c.req
    if (method !== 'GET' && method !== 'HEAD')
      throw cdnErrors.methodRefused('Only GET and HEAD are served here.')
    const url = new URL(c.req.url)
    const nowMs = now()
    const verdict = verifySignedUrl({ method, path: url.pathname, query: url.search.slice(1), keys, nowMs })
    if (!verdict.valid) {
      // The path alone: whoever reads the log must not find a link that works.
      log.info({ path: url.pathname, reason: verdict.reason }, 'link refused')
      refusals.inc({ reason: verdict.reason })
      throw cdnErrors.urlRefused('This link is not valid or not valid any more.')
    }

    const key = url.pathname.slice(1)
    const object = key.startsWith(servedPrefix) ? await store.get(key) : undefined
    if (!object) throw cdnErrors.objectMissing('There is no such object.')
    const maxAgeS = Math.floor((verdict.expiresAtS * 1000 - nowMs) / 1000)
    return objectResponse(object, {
      request: c.req.raw,
      cacheControl: `private, max-age=${maxAgeS}, immutable`,
    })
  })

  app.onError((error, c) => {
    if (error instanceof TendonError && error.definition.status < 500) return problem(error)
    log.error({ err: error, path: c.req.path }, 'request failed')
    return problem(
      error instanceof TendonError ? error : platformErrors.unexpected('Something went wrong on our side.'),
    )
  })
  return { app }
}

/** RFC 9457; never kept, so that a link refused a moment too early or late is asked again. */
function problem(error: TendonError): Response {
  const { status, title, help, retryAfterSeconds } = error.definition
  const headers = new Headers({ 'content-type': 'application/problem+json', 'cache-control': 'no-store' })
  if (status === 405) headers.set('allow', 'GET, HEAD')
  if (retryAfterSeconds !== undefined) headers.set('retry-after', String(retryAfterSeconds))
  const body = {
    type: `urn:tendon:error:${error.code}`,
    title,
    status,
    detail: error.message,
    code: error.code,
    help,
  }
  return new Response(JSON.stringify(body), { status, headers })
}
