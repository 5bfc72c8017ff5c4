import { freePort } from '@tendon/platform/free-port.ts'
import type { Lifecycle } from '@tendon/platform/lifecycle.ts'
import type { Progress } from '@tendon/platform/progress.ts'
import { loadDeclaredReports } from '@tendon/reports-service/declarations/load-reports.ts'
import { createSimulator } from '@tendon/sources/simulator.ts'
import { createWarehouse, type Warehouse } from '@tendon/warehouse/client.ts'
import { applyMigrations } from '@tendon/warehouse/migrate.ts'
import { buildWeb } from '@tendon/web/build.ts'
import { chooseAddresses } from './addresses.ts'
import { requireAttachedServers } from './attached-servers.ts'
import { catchUp } from './catch-up.ts'
import { keepConnections } from './connections-file.ts'
import type { DataFolder } from './data-folder.ts'
import { requireSignIn } from './embedded-provider.ts'
import type { LogFor } from './log-for.ts'
import { type Databases, embeddedDatabases, openDatabases } from './open-databases.ts'
import { openStores } from './open-stores.ts'
import type { EmbeddedConfig } from './options.ts'
import { requireEmbeddedParts } from './platform-support.ts'
import { prepareSources, wantedDemo } from './prepare-sources.ts'
import { type ServiceSettings, serviceSettings } from './service-settings.ts'
import { createServices, type Services } from './services.ts'
import { startServing } from './start-serving.ts'
import { untilAborted } from './until-aborted.ts'

export type Tendon = {
  /** The address for browsers. */
  url: string
  /** Where metrics and readiness are, on loopback. */
  operationsUrl: string
  /** Whether the demo's people can sign in with the passwords that everybody knows. */
  hasDemoLogins: boolean
  /** Addresses and secrets of the running parts, as the environment variables of the services. */
  settings: ServiceSettings
  etl: Services['etl']
  cdc: Services['cdc']
}

type Parts = { folder: DataFolder; lifecycle: Lifecycle; logFor: LogFor; progress: Progress }

/**
 * Starts the whole product. What was started is stopped by `lifecycle`, also when this fails half way.
 * @param folder is released by whoever opened it, after the lifecycle has stopped
 */
export async function startTendon(config: EmbeddedConfig, parts: Parts): Promise<Tendon> {
  const { folder, lifecycle, logFor, progress } = parts
  const log = logFor('tendon')
  // Before anything is started: what cannot go well should not be found after half a minute of loading.
  requireEmbeddedParts(config)
  await loadDeclaredReports()
  await untilAborted(lifecycle.stopping, requireAttachedServers(config, log))
  requireSignIn(config, { hasDemoPeople: wantedDemo(config).crm })
  const port = await freePort(config.host, config.port)
  if (config.operationsPort) await freePort('127.0.0.1', config.operationsPort)

  const open = () => openDatabases(config, { dataPath: folder.path, lifecycle, log })
  const embedded = embeddedDatabases(config)
  const databases = embedded ? await progress.step(embedded, open) : await open()
  const warehouse = createWarehouse(databases.clickhouse)
  await lifecycle.start('warehouse client', { stop: () => warehouse.close() })
  const { hasDemoPeople, webRoot } = await prepare(config, parts, databases, warehouse)
  requireSignIn(config, { hasDemoPeople })

  const stores = await openStores(config, { dataPath: folder.path, lifecycle, log })
  const reportsPort = await freePort('127.0.0.1')
  const addresses = chooseAddresses(config, { public: port, reports: reportsPort })
  const settings = serviceSettings(config, databases, folder.secrets, addresses)
  const services = createServices(config, {
    settings,
    addresses,
    warehouse,
    stores,
    webRoot,
    folder,
    logFor,
  })

  const { operationsUrl } = await progress.step('Sign-in and reports', () =>
    startServing(services, {
      public: { host: config.host, port },
      reportsPort,
      operationsPort: config.operationsPort,
      lifecycle,
      log,
    }),
  )
  await startPipelines(config, parts, services)
  const isAllEmbedded = !config.crmDatabaseUrl && !config.telemetryDatabaseUrl
  if (config.simulator ?? (isAllEmbedded && hasDemoPeople)) {
    await lifecycle.start('simulator', createSimulator({ ...databases, log: logFor('simulator') }))
  }
  const connections = { ...settings, OPERATIONS_URL: operationsUrl }
  await keepConnections(connections, { folder: folder.path, lifecycle, log })
  return {
    url: addresses.publicUrl,
    operationsUrl,
    hasDemoLogins: services.identityProvider !== undefined,
    settings,
    etl: services.etl,
    cdc: services.cdc,
  }
}

/** What the services find there: schemas, demo data, pages. */
async function prepare(
  config: EmbeddedConfig,
  { lifecycle, logFor, progress }: Parts,
  databases: Databases,
  warehouse: Warehouse,
): Promise<{ hasDemoPeople: boolean; webRoot: string }> {
  const log = logFor('tendon')
  return progress.step('Schemas, demo data, report pages', async (update) => {
    let webRoot = ''
    const [, , { hasDemoPeople }] = await Promise.all([
      // A part, so that a stop does not leave the bundler behind.
      lifecycle.start('pages', {
        start: async () => {
          webRoot = await buildWeb({ log })
        },
      }),
      applyMigrations(warehouse),
      prepareSources(config, databases, {
        log,
        onProgress: ({ rows }) => update(`Demo data: ${rows.toLocaleString('en')} telemetry rows`),
        signal: lifecycle.stopping,
      }),
    ])
    return { hasDemoPeople, webRoot }
  })
}

/** From the CRM and the telemetry into the warehouse, until all that is there now has arrived. */
async function startPipelines(
  config: EmbeddedConfig,
  { lifecycle, progress }: Parts,
  { cdc, etl }: Services,
): Promise<void> {
  const signal = lifecycle.stopping
  await progress.step('Change feed from the CRM into ClickHouse', async () => {
    await lifecycle.start('cdc', cdc)
    await catchUp(cdc, { timeoutMs: config.feedTimeoutMs, signal })
  })
  await progress.step('ETL run over the telemetry', () =>
    // Its first run may be long, and is ended by `stop` alone: a stop must not wait for it.
    lifecycle.start('etl', { start: () => untilAborted(signal, etl.start()), stop: () => etl.stop() }),
  )
}
