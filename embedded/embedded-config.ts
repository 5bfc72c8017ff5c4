import { ConfigError, readConfig } from '@tendon/platform/config.ts'
import { type EmbeddedConfig, embeddedOptions } from './options.ts'
import { serviceOptionProblems } from './service-configs.ts'

/** What goes only together with an address that is set. */
const companions: Partial<Record<keyof EmbeddedConfig, (keyof EmbeddedConfig)[]>> = {
  // Kafka Connect reads the CRM, and cannot reach one that is a child of this process at a port of its own.
  kafkaBrokers: ['kafkaConnectUrl', 'crmDatabaseUrl'],
  s3Endpoint: ['s3AccessKeyId', 's3SecretAccessKey'],
  oidcIssuer: ['oidcBffSecret', 'oidcCdcSecret', 'oidcEtlSecret'],
  cdnBaseUrl: ['cdnSigningKeys'],
}

/** @throws ConfigError with everything that is wrong: here, beside an address, and in the services' own variables */
export function readEmbeddedConfig(source: {
  env: Record<string, string | undefined>
  argv: string[]
}): EmbeddedConfig {
  const problems: string[] = []
  let config: EmbeddedConfig | undefined
  try {
    config = readConfig('Tendon', embeddedOptions, source)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    problems.push(...error.problems)
  }
  problems.push(...missingCompanions(source.env), ...serviceOptionProblems(source.env))
  if (!config || problems.length > 0) throw new ConfigError('Tendon', problems)
  return config
}

/** None of these has a flag: what is set stands in the environment. */
function missingCompanions(env: Record<string, string | undefined>): string[] {
  const variable = (name: string) => embeddedOptions[name as keyof EmbeddedConfig].env
  return Object.entries(companions).flatMap(([address, needed]) =>
    env[variable(address)]
      ? needed
          .filter((name) => !env[variable(name)])
          .map((name) => `${variable(name)} is not set: needed with ${variable(address)}`)
      : [],
  )
}
