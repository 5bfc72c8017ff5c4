import { join } from 'node:path'
import { ChdbServerError } from '@tendon/chdb-server/chdb-server-error.ts'
import { type ChdbServer, startChdbServer } from '@tendon/chdb-server/start-chdb-server.ts'
import type { Lifecycle } from '@tendon/platform/lifecycle.ts'
import type { Log } from '@tendon/platform/log.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '@tendon/sources/embedded-postgres.ts'
import { embeddedErrors } from './errors.ts'
import type { EmbeddedConfig } from './options.ts'

export type Databases = {
  crmUrl: string
  telemetryUrl: string
  clickhouse: { url: string; username: string; password: string }
}

/** Those that are started here, for people; empty when all three are attached. */
export function embeddedDatabases({
  crmDatabaseUrl,
  telemetryDatabaseUrl,
  clickhouseUrl,
}: EmbeddedConfig): string {
  const owners = [crmDatabaseUrl ? [] : 'CRM', telemetryDatabaseUrl ? [] : 'telemetry'].flat()
  const postgres = owners.length > 0 ? `PostgreSQL for ${owners.join(' and ')}` : []
  return [postgres, clickhouseUrl ? [] : 'ClickHouse engine'].flat().join(', ')
}

/** The three databases, each embedded unless its address is set; they start at the same time. */
export async function openDatabases(
  config: EmbeddedConfig,
  parts: { dataPath: string; lifecycle: Lifecycle; log: Log },
): Promise<Databases> {
  const { dataPath, lifecycle, log } = parts

  async function postgres(name: string, settings: Record<string, string>): Promise<string> {
    let server: EmbeddedPostgres | undefined
    await lifecycle.start(`PostgreSQL of the ${name}`, {
      async start() {
        server = await startEmbeddedPostgres({
          dataPath: join(dataPath, `${name}-postgres`),
          settings,
          log: log.child({ part: `${name}-postgres` }),
        })
        await server.createDatabase(name)
      },
      stop: () => server?.stop(),
    })
    return server!.url(name)
  }

  async function clickhouse(): Promise<Databases['clickhouse']> {
    let server: ChdbServer | undefined
    await lifecycle.start('ClickHouse engine', {
      async start() {
        server = await startEngine(join(dataPath, 'clickhouse'), log)
      },
      stop: () => server?.stop(),
    })
    return server!
  }

  // All are awaited even when one fails, so that none is still starting while the others are being stopped.
  const [crmUrl, telemetryUrl, engine] = await Promise.allSettled([
    config.crmDatabaseUrl ?? postgres('crm', crmSettings),
    config.telemetryDatabaseUrl ?? postgres('telemetry', telemetrySettings),
    config.clickhouseUrl
      ? { url: config.clickhouseUrl, username: config.clickhouseUser, password: config.clickhousePassword }
      : clickhouse(),
  ])
  return { crmUrl: settled(crmUrl), telemetryUrl: settled(telemetryUrl), clickhouse: settled(engine) }
}

/** The engine's package knows nothing of Tendon's errors. */
async function startEngine(dataPath: string, log: Log): Promise<ChdbServer> {
  try {
    return await startChdbServer({ dataPath, log: log.child({ part: 'clickhouse' }) })
  } catch (cause) {
    if (!(cause instanceof ChdbServerError)) throw cause
    throw engineErrors[cause.code](cause.message, { cause })
  }
}

const engineErrors = {
  CHDB_LOCKED: embeddedErrors.dataFolderHeld,
  CHDB_PLATFORM: embeddedErrors.platformUnsupported,
  CHDB_START: embeddedErrors.engineNotStarted,
}

const crmSettings = {
  wal_level: 'logical',
  max_wal_senders: '10',
  max_replication_slots: '10',
  // As in deploy/postgres/crm.conf: a feed that cannot write, or was given up for another, does not fill the disk.
  max_slot_wal_keep_size: '4GB',
}
/** No replication from it, so that the bulk load of the demo data need not write its rows to the WAL. */
const telemetrySettings = { wal_level: 'minimal', max_wal_senders: '0' }

function settled<Value>(result: PromiseSettledResult<Value>): Value {
  if (result.status === 'rejected') throw result.reason
  return result.value
}
