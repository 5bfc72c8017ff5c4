import { bffOptions } from '@tendon/bff/options.ts'
import { cdcOptions } from '@tendon/cdc/options.ts'
import { etlOptions } from '@tendon/etl/options.ts'
import { type Config, ConfigError, type OptionTable, readConfig } from '@tendon/platform/config.ts'
import { reportsOptions } from '@tendon/reports-service/options.ts'
import { makeSecrets } from './data-folder.ts'
import { embeddedOptions } from './options.ts'
import { serviceSettings } from './service-settings.ts'

type Environment = Record<string, string | undefined>

export type ServiceConfigs = {
  bff: Config<typeof bffOptions>
  reports: Config<typeof reportsOptions>
  cdc: Config<typeof cdcOptions>
  etl: Config<typeof etlOptions>
}

/** Each service's configuration, through its own option table. */
export function readServiceConfigs(env: Environment): ServiceConfigs {
  return {
    bff: readConfig('bff', bffOptions, { env }),
    reports: readConfig('reports-service', reportsOptions, { env }),
    cdc: readConfig('cdc', cdcOptions, { env }),
    // The first sign-in should find numbers.
    etl: readConfig('etl', etlOptions, { env: { ETL_FIRST_RUN: 'await', ...env } }),
  }
}

const serviceTables: OptionTable[] = [bffOptions, reportsOptions, cdcOptions, etlOptions]

/** All variables that this process or a service in it reads. */
export function knownVariables(): string[] {
  return [embeddedOptions, ...serviceTables].flatMap((table) => Object.values(table).map(({ env }) => env))
}

/**
 * What is wrong with the services' own variables, before there is anything to connect them to. Those that this
 * process answers for itself are not looked at here.
 */
export function serviceOptionProblems(env: Environment): string[] {
  const own = new Set<string>(Object.values(embeddedOptions).map((option) => option.env))
  const theirs = Object.fromEntries(Object.entries(env).filter(([name]) => !own.has(name)))
  const asked = { ...theirs, ...placeholders() }
  return [...new Set(serviceTables.flatMap((table) => problemsOf(table, asked)))]
}

/** Valid values of all that is known only later. */
function placeholders() {
  const url = 'http://127.0.0.1:1'
  const database = 'postgresql://127.0.0.1:1'
  const databases = {
    crmUrl: database,
    telemetryUrl: database,
    clickhouse: { url, username: 'default', password: '' },
  }
  const nothingAttached = {
    cdnBaseUrl: undefined,
    cdnSigningKeys: undefined,
    oidcIssuer: undefined,
    oidcBffSecret: undefined,
    oidcCdcSecret: undefined,
    oidcEtlSecret: undefined,
    kafkaBrokers: undefined,
    kafkaConnectUrl: undefined,
    clickhouseKafkaBrokers: undefined,
  }
  const addresses = { publicUrl: url, loopbackUrl: url, reportsServiceUrl: url }
  return serviceSettings(nothingAttached, databases, makeSecrets(), addresses)
}

function problemsOf(table: OptionTable, env: Environment): string[] {
  try {
    readConfig('service', table, { env })
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
}
