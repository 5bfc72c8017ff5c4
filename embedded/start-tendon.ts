import { once } from 'node:events'
import { rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { Lifecycle } from '@tendon/platform/lifecycle.ts'
import type { Log } from '@tendon/platform/log.ts'
import { platformErrors } from '@tendon/platform/platform-errors.ts'
import { loadDemoData } from '@tendon/sources/load-demo-data.ts'
import { createSimulator } from '@tendon/sources/simulator.ts'
import { createWarehouse } from '@tendon/warehouse/client.ts'
import { applyMigrations } from '@tendon/warehouse/migrate.ts'
import { buildWeb } from '@tendon/web/build.ts'
import type { DataFolder } from './data-folder.ts'
import { type Databases, openDatabases } from './open-databases.ts'
import { openStores } from './open-stores.ts'
import type { EmbeddedConfig } from './options.ts'
import type { Progress } from './progress.ts'
import { type ServiceSettings, serviceSettings } from './service-settings.ts'
import { createServices, type Services } from './services.ts'

export type Tendon = {
  /** The address for browsers. */
  url: string
  /** Addresses and secrets of the running parts, as the environment variables of the services. */
  settings: ServiceSettings
  etl: Services['etl']
  cdc: Services['cdc']
}

export type LogFor = (service: string) => Log

/**
 * Starts the whole product. What was started is stopped by `lifecycle`, also when this fails half way.
 * @param folder is released by whoever opened it, after the lifecycle has stopped
 */
export async function startTendon(
  config: EmbeddedConfig,
  parts: { folder: DataFolder; lifecycle: Lifecycle; logFor: LogFor; progress: Progress },
): Promise<Tendon> {
  const { folder, lifecycle, logFor, progress } = parts
  const log = logFor('tendon')
  // Before anything is started: a taken port should not be found after half a minute of loading.
  const port = await freePort(config.host, config.port)
  const embedded = config.crmDatabaseUrl === undefined && config.telemetryDatabaseUrl === undefined

  const databases = await progress.step('PostgreSQL for CRM and telemetry, ClickHouse engine', () =>
    openDatabases(config, { dataPath: folder.path, lifecycle, log }),
  )
  const warehouse = createWarehouse(databases.clickhouse)
  await lifecycle.start('warehouse client', { stop: () => warehouse.close() })
  const [, , webRoot] = await progress.step('Schemas, demo data, pages', (update) =>
    Promise.all([
      (config.demoData ?? embedded) && loadDemo(config, databases, log, update),
      applyMigrations(warehouse),
      buildWeb({ log }),
    ]),
  )

  const stores = await openStores(config, { dataPath: folder.path, lifecycle, log })
  const reportsPort = await freePort('127.0.0.1')
  const addresses = {
    publicUrl: (config.publicUrl ?? `http://localhost:${port}`).replace(/\/$/, ''),
    loopbackUrl: `http://127.0.0.1:${port}`,
    reportsServiceUrl: `http://127.0.0.1:${reportsPort}`,
  }
  const settings = serviceSettings(config, databases, folder.secrets, addresses)
  const services = createServices(config, { settings, warehouse, stores, webRoot, folder, logFor })

  await progress.step('Sign-in, reports, pages', async () => {
    await services.startServing({ lifecycle, host: config.host, port, reportsPort })
  })
  await progress.step('Change feed from the CRM into ClickHouse', async () => {
    await lifecycle.start('cdc', services.cdc)
    await services.cdc.caughtUp()
  })
  await progress.step('ETL run over the telemetry', () => lifecycle.start('etl', services.etl))
  if (config.simulator ?? embedded) {
    await lifecycle.start('simulator', createSimulator({ ...databases, log: logFor('simulator') }))
  }
  await keepSettings(folder, settings, lifecycle)
  return { url: addresses.publicUrl, settings, etl: services.etl, cdc: services.cdc }
}

async function loadDemo(
  config: EmbeddedConfig,
  databases: Databases,
  log: Log,
  update: (text: string) => void,
): Promise<void> {
  await loadDemoData({
    ...databases,
    today: new Date(),
    volume: { customers: 200, prostheses: 260, days: config.demoDays },
    log,
    onProgress: ({ rows }) => update(`Demo data: ${rows.toLocaleString('en')} telemetry rows`),
  })
}

/** For the commands that act on what is running (`npm run crm`); gone when it stops. */
async function keepSettings(
  folder: DataFolder,
  settings: ServiceSettings,
  lifecycle: Lifecycle,
): Promise<void> {
  const file = join(folder.path, 'connections.env')
  await lifecycle.start('connections file', {
    start: () =>
      writeFile(
        file,
        Object.entries(settings)
          .map(([name, value]) => `${name}='${value}'\n`)
          .join(''),
        { mode: 0o600 },
      ),
    stop: () => rm(file, { force: true }),
  })
}

/**
 * The address of a service must be known to the others before it listens.
 * @param port the one that must be free, or 0 for any
 * @throws TENDON-PLATFORM-004 when it is taken
 */
async function freePort(host: string, port = 0): Promise<number> {
  const server = createServer().listen(port, host)
  try {
    await once(server, 'listening')
  } catch (cause) {
    throw platformErrors.portTaken(`Port ${port} on ${host} cannot be listened on.`, { cause })
  }
  const address = server.address()
  server.close()
  await once(server, 'close')
  return address !== null && typeof address === 'object' ? address.port : port
}
