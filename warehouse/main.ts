import { ConfigError, helpText, readConfig } from '@tendon/platform/config.ts'
import { TendonError } from '@tendon/platform/errors.ts'
import { createWarehouse } from './client.ts'
import { applyMigrations } from './migrate.ts'
import { migrateOptions } from './options.ts'

const usage = `node warehouse/main.ts migrate [options]

Brings ClickHouse to this version. Doing it again changes nothing.
Exit codes: 0 done, 1 failed, 64 wrong usage.`

const [command, ...argv] = process.argv.slice(2)

try {
  if (command === '--help' || argv.includes('--help')) process.stdout.write(helpText(usage, migrateOptions))
  else if (command === 'migrate') await migrate()
  else throw new ConfigError('warehouse', [`unknown command "${command ?? ''}"; there is: migrate`])
} catch (error) {
  const text =
    error instanceof TendonError ? `${error.code}: ${error.message}\n${error.definition.help}` : String(error)
  process.stderr.write(`${text}\n`)
  process.exitCode = error instanceof ConfigError ? 64 : 1
}

async function migrate(): Promise<void> {
  const config = readConfig('warehouse', migrateOptions, { env: process.env, argv })
  const warehouse = createWarehouse({
    url: config.clickhouseUrl,
    username: config.clickhouseUser,
    password: config.clickhousePassword,
  })
  try {
    const applied = await applyMigrations(warehouse, { cluster: config.clickhouseCluster })
    process.stdout.write(applied.length > 0 ? `applied ${applied.join(', ')}\n` : 'nothing to apply\n')
  } finally {
    await warehouse.close()
  }
}
