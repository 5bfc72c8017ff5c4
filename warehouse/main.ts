import { type Config, ConfigError } from '@tendon/platform/config.ts'
import { exitCodes, readProcessConfig, runProgram } from '@tendon/platform/process-config.ts'
import { createWarehouse } from './client.ts'
import { applyMigrations } from './migrate.ts'
import { migrateOptions } from './options.ts'

const usage = `npm run warehouse -- migrate [options]

Brings ClickHouse to this version. Doing it again changes nothing.
Exit codes: 0 done, 1 failed, 64 wrong usage.`

const [command, ...argv] = process.argv.slice(2)

await runProgram(async () => {
  if (command !== 'migrate' && command !== '--help')
    throw new ConfigError('warehouse', [
      command ? `unknown command "${command}"; there is: migrate` : 'no command; there is: migrate',
    ])
  const options = command === '--help' ? ['--help'] : argv
  return migrate(readProcessConfig('warehouse', usage, migrateOptions, options))
})

async function migrate(config: Config<typeof migrateOptions>): Promise<number> {
  const warehouse = createWarehouse({
    url: config.clickhouseUrl,
    username: config.clickhouseUser,
    password: config.clickhousePassword,
  })
  try {
    const applied = await applyMigrations(warehouse, { cluster: config.clickhouseCluster })
    process.stdout.write(applied.length > 0 ? `applied ${applied.join(', ')}\n` : 'nothing to apply\n')
    return exitCodes.done
  } finally {
    await warehouse.close()
  }
}
