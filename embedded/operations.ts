import type { Log } from '@tendon/platform/log.ts'
import type { Metrics } from '@tendon/platform/metrics.ts'
import { Hono } from 'hono'

/**
 * What those who run it look at, for all services in this process at once, on a port of its own: `/metrics` has
 * every service's registry, `/readyz` names the services that are not ready, `/healthz` says that it lives.
 * @param options.ready by service; rejects while it cannot do its work
 */
export function createOperationsApp(options: {
  metrics: Metrics[]
  ready: Record<string, () => Promise<unknown>>
  log: Log
}): Hono {
  const { metrics, ready, log } = options
  const app = new Hono()
  app.get('/healthz', (c) => c.json({ status: 'ok' }))
  app.get('/readyz', async (c) => {
    const services = Object.keys(ready)
    const outcomes = await Promise.allSettled(services.map((service) => ready[service]?.()))
    const waiting = services.filter((_, index) => outcomes[index]?.status === 'rejected')
    if (waiting.length === 0) return c.json({ status: 'ready' })
    log.warn({ waiting }, 'not ready')
    return c.json({ status: 'not ready', waiting }, 503, { 'retry-after': '2' })
  })
  app.get('/metrics', async (c) => {
    const exposed = await Promise.all(metrics.map((registry) => registry.expose()))
    // Names carry their service, so that no family stands twice in what is put together here.
    const body = exposed.map(({ body }) => `${body.trimEnd()}\n`).join('')
    return c.body(body, 200, { 'content-type': exposed[0]?.contentType ?? 'text/plain' })
  })
  return app
}

/** Whether a service's own `/readyz` says so. */
export function readinessOf(app: { request(path: string): Response | Promise<Response> }) {
  return async (): Promise<void> => {
    const { status } = await app.request('/readyz')
    if (status !== 200) throw new Error(`/readyz answers ${status}`)
  }
}
