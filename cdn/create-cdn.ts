import { createHttpApp, type HttpApp, requestLog } from '@tendon/platform/http-app.ts'
import type { Log } from '@tendon/platform/log.ts'
import type { Metrics } from '@tendon/platform/metrics.ts'
import type { ObjectStore } from '@tendon/platform/object-store.ts'
import { type SigningKeys, verifySignedUrl } from '@tendon/platform/url-signature.ts'
import { cdnErrors } from './errors.ts'
import { objectResponse } from './object-response.ts'

/** The rest of the store is nobody's business here, whatever was signed. */
const servedPrefix = 'reports/'

/**
 * The embedded stand-in for the CDN: serves signed URLs straight from the object store, and nothing else.
 *
 * The signature covers the path below the CDN's base URL, byte for byte. To serve it under a prefix, mount it so that the
 * prefix alone is taken off: `app.mount('/cdn', cdn.app.fetch, { replaceRequest: belowPrefix('/cdn') })`.
 * @param options.webOrigin whose pages may read objects, when they are not of the CDN's own origin
 * @param options.now milliseconds; tests pass their own clock
 */
export function createCdn(options: {
  store: ObjectStore
  keys: SigningKeys
  log: Log
  metrics: Metrics
  webOrigin?: string
  now?: () => number
}): { app: HttpApp } {
  const { store, keys, log, metrics, webOrigin, now = Date.now } = options
  const refusals = metrics.counter('refused_links_total', 'Links that were not valid, by reason', ['reason'])
  // Every path is an object's, and the public reaches all of them.
  const app = createHttpApp({ log, metrics, operations: false })

  app.use(async (c, next) => {
    await next()
    // Not by `c.header`, which by now makes the whole answer anew, its body a stream.
    const { headers } = c.res
    headers.set('x-content-type-options', 'nosniff')
    headers.append('vary', 'origin')
    if (webOrigin && c.req.header('origin') === webOrigin)
      headers.set('access-control-allow-origin', webOrigin)
  })

  app.all('/:object{.*}', async (c) => {
    const { method } = c.req
    if (method !== 'GET' && method !== 'HEAD')
      throw cdnErrors.methodRefused('Only GET and HEAD are served here.')
    const url = new URL(c.req.url)
    const nowMs = now()
    const verdict = verifySignedUrl({ method, path: url.pathname, query: url.search.slice(1), keys, nowMs })
    if (!verdict.valid) {
      // The path alone: whoever reads the log must not find a link that works.
      requestLog(c).info({ path: url.pathname, reason: verdict.reason }, 'link refused')
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
  return { app }
}
