import { pipeline } from 'node:stream/promises'
import { type Config, ConfigError } from '@tendon/platform/config.ts'
import { exitCodes, readProcessConfig, runProgram } from '@tendon/platform/process-config.ts'
import { createWarehouse, type Warehouse } from './client.ts'
import { applyMigrations } from './migrate.ts'
import { migrateOptions, warehouseOptions } from './options.ts'

const usage = `npm run warehouse -- migrate [options]
       npm run warehouse -- query "SELECT …" [options]

migrate brings ClickHouse to this version; doing it again changes nothing.
query prints what ClickHouse answers to a statement: a line of JSON for each row, unless it names a FORMAT.
Exit codes: 0 done, 1 failed, 64 wrong usage.`

const [command, ...argv] = process.argv.slice(2)

await runProgram(() => {
  if (command === 'query') return query(argv)
  if (command === 'migrate') return migrate(argv)
  if (command === '--help') return migrate(['--help'])
  const said = command ? `unknown command "${command}"` : 'no command'
  throw new ConfigError('warehouse', [`${said}; there are: migrate, query`])
})

async function migrate(options: string[]): Promise<number> {
  const config = readProcessConfig('warehouse', usage, migrateOptions, options)
  return withWarehouse(config, async (warehouse) => {
    const applied = await applyMigrations(warehouse, { cluster: config.clickhouseCluster })
    process.stdout.write(applied.length > 0 ? `applied ${applied.join(', ')}\n` : 'nothing to apply\n')
  })
}

async function query(args: string[]): Promise<number> {
  const [sql, ...options] = args
  const isStatement = sql !== undefined && !sql.startsWith('-')
  const config = readProcessConfig('warehouse', usage, warehouseOptions, isStatement ? options : args)
  if (!isStatement) throw new ConfigError('warehouse', ['query takes a statement first'])
  return withWarehouse(config, async (warehouse) =>
    pipeline(await warehouse.read(sql), process.stdout, { end: false }),
  )
}

async function withWarehouse(
  config: Config<typeof warehouseOptions>,
  run: (warehouse: Warehouse) => Promise<void>,
): Promise<number> {
  const warehouse = createWarehouse({
    url: config.clickhouseUrl,
    username: config.clickhouseUser,
    password: config.clickhousePassword,
  })
  try {
    await run(warehouse)
    return exitCodes.done
  } finally {
    await warehouse.close()
  }
}
