import { createAccessTokenVerifier } from '@tendon/platform/access-token.ts'
import { listen } from '@tendon/platform/http-server.ts'
import { createLifecycle, stopOnSignals } from '@tendon/platform/lifecycle.ts'
import { createLog } from '@tendon/platform/log.ts'
import { createMetrics } from '@tendon/platform/metrics.ts'
import { readProcessConfig, runProgram } from '@tendon/platform/process-config.ts'
import { createWarehouse } from '@tendon/warehouse/client.ts'
import { openStores } from './open-stores.ts'
import { reportsProcessOptions } from './options.ts'
import { createReportsService } from './reports-service.ts'

await runProgram(async () => {
  const usage = 'node reports-service/main.ts [options]'
  const config = readProcessConfig('reports-service', usage, reportsProcessOptions)
  const { host, port, logLevel, oidcIssuer: issuer, oidcInternalUrl: internalUrl } = config
  const log = createLog({ service: 'reports-service', level: logLevel })
  const metrics = createMetrics('reports_service', { processMetrics: true })
  const lifecycle = createLifecycle({ log })
  stopOnSignals(lifecycle, { log })

  const { clickhouseUrl: url, clickhouseUser: username, clickhousePassword: password } = config
  // Readiness asks beside the queries.
  const maxConnections = config.concurrentQueries + 2
  const warehouse = createWarehouse({ url, username, password, maxConnections })
  const stores = openStores(config, log)
  const verifyAccessToken = createAccessTokenVerifier({ issuer, internalUrl, audience: 'reports-service' })
  const service = createReportsService({ config, warehouse, ...stores, verifyAccessToken, log, metrics })

  await lifecycle.start('stores', { stop: () => Promise.all([warehouse.close(), stores.keyValue.close()]) })
  await lifecycle.start('reports-service', service)
  const server = await listen(service.app, { host, port, log })
  await lifecycle.start('http', { stop: () => server.close() })
  log.info({ url: server.url }, 'ready')
})
