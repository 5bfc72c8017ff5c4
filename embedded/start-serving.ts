import { listen } from '@tendon/platform/http-server.ts'
import type { Lifecycle } from '@tendon/platform/lifecycle.ts'
import type { Log } from '@tendon/platform/log.ts'
import { createOperationsApp, readinessOf } from './operations.ts'
import { createPublicApp } from './serve-public.ts'
import type { Services } from './services.ts'

const loopback = '127.0.0.1'

/**
 * Listens: on the public address, and on loopback for reports-service and for those who run it.
 * @param options.operationsPort 0 for any free one
 */
export async function startServing(
  services: Services,
  options: {
    public: { host: string; port: number }
    reportsPort: number
    operationsPort: number
    lifecycle: Lifecycle
    log: Log
  },
): Promise<{ operationsUrl: string }> {
  const { lifecycle, log } = options
  const { identityProvider, reportsService, bff, etl, cdc, cdn, metrics } = services

  async function serve(
    name: string,
    app: Parameters<typeof listen>[0],
    at: { host: string; port: number; onClose?: () => void },
  ) {
    const server = await listen(app, { ...at, log })
    await lifecycle.start(name, { stop: () => server.close() })
    return server
  }

  const operations = createOperationsApp({
    metrics,
    ready: {
      'reports-service': readinessOf(reportsService.app),
      bff: readinessOf(bff.operations),
      cdc: () => cdc.ready(),
      etl: readinessOf(etl.app),
    },
    log,
  })
  const { url: operationsUrl } = await serve('operations http', operations, {
    host: loopback,
    port: options.operationsPort,
  })
  log.info({ url: operationsUrl }, 'metrics and readiness')
  if (identityProvider) await lifecycle.start('identity provider', identityProvider)
  await lifecycle.start('reports-service', reportsService)
  await lifecycle.start('bff', bff)
  await serve('reports-service http', reportsService.app, { host: loopback, port: options.reportsPort })
  const publicApp = createPublicApp({
    bff: bff.app,
    identityProvider: identityProvider?.handler,
    cdn: cdn?.app,
  })
  await serve('public http', publicApp, { ...options.public, onClose: bff.endStreams })
  return { operationsUrl }
}
