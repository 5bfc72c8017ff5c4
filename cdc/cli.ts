import {
  booleanOption,
  type Config,
  ConfigError,
  defineOptions,
  millisecondsOption,
  type OptionTable,
} from '@tendon/platform/config.ts'
import { createLog } from '@tendon/platform/log.ts'
import {
  exitCodes as programExitCodes,
  readProcessConfig,
  runProgram,
} from '@tendon/platform/process-config.ts'
import { createWarehouse, type Warehouse } from '@tendon/warehouse/client.ts'
import { applyMigrations } from '@tendon/warehouse/migrate.ts'
import { warehouseOptions } from '@tendon/warehouse/options.ts'
import type pg from 'pg'
import { applyReplica } from './apply.ts'
import { readCatalog } from './catalog.ts'
import { deriveReplica } from './derive-table.ts'
import { describeFeedReport, readFeedReport } from './feed-report.ts'
import { cdcOptions } from './options.ts'
import { connectSource } from './postgres-connection.ts'
import { registry } from './registry.ts'
import { readSourceTables } from './source-catalog.ts'
import { readWalEnd, waitForPosition } from './source-position.ts'
import { type TableVerdict, verifyTable } from './verify.ts'

const exitCodes = { ...programExitCodes, different: 3 } as const

/** Of each table, in the text for people. */
const differencesShown = 10

const usage = `npm run cdc -- <command> [options]

Commands:
  apply   Bring the publication, the replicas and their views to the registry and the catalog
  status  Show the slot, the position and the tables
  verify  Compare every replica with its source, row for row and value for value
Each has --help.

Exit codes: 0 done, 1 failed, 3 a replica differs from its source, 64 wrong usage.
`

const commonOptions = defineOptions({
  ...cdcOptions,
  ...warehouseOptions,
  json: { env: 'CDC_JSON', flag: 'json', type: booleanOption, default: false, help: 'Print JSON' },
})

const verifyOptions = defineOptions({
  ...commonOptions,
  timeoutMs: {
    env: 'CDC_VERIFY_TIMEOUT_MS',
    flag: 'timeout-ms',
    type: millisecondsOption,
    default: 60_000,
    help: 'How long to wait for the feed to catch up',
  },
})

type Parts = { source: pg.Client; warehouse: Warehouse }

const [command, ...argv] = process.argv.slice(2)
await runProgram(async () => {
  switch (command) {
    case 'apply':
      return withParts('cdc apply', commonOptions, apply)
    case 'status':
      return withParts('cdc status', commonOptions, status)
    case 'verify':
      return withParts('cdc verify', verifyOptions, verify)
    case '--help':
      process.stdout.write(usage)
      return exitCodes.done
    default:
      throw new ConfigError('cdc', [`unknown command "${command ?? ''}"; there are: apply, status, verify`])
  }
})

async function withParts<const Table extends typeof commonOptions & OptionTable>(
  name: string,
  table: Table,
  act: (config: Config<Table>, parts: Parts) => Promise<number>,
): Promise<number> {
  const config = readProcessConfig(name, `npm run ${name.replace(' ', ' -- ')} [options]`, table, argv)
  const common: Config<typeof commonOptions> = config
  const source = await connectSource(common.crmDatabaseUrl)
  const warehouse = createWarehouse({
    url: common.clickhouseUrl,
    username: common.clickhouseUser,
    password: common.clickhousePassword,
  })
  try {
    return await act(config, { source, warehouse })
  } finally {
    await Promise.all([source.end(), warehouse.close()])
  }
}

async function apply(config: Config<typeof commonOptions>, { source, warehouse }: Parts): Promise<number> {
  // Standard output carries the answer alone.
  const log = createLog({ service: 'cdc' }, process.stderr)
  await applyMigrations(warehouse)
  const { replicas } = await readCatalog(source, config.publicationName, registry)
  for (const replica of replicas) await applyReplica(source, warehouse, replica, log)
  const names = replicas.map(({ source: table }) => table.qualifiedName)
  print(config, { tables: names }, names.map((name) => `${name} is in place\n`).join(''))
  return exitCodes.done
}

async function status(config: Config<typeof commonOptions>, { source, warehouse }: Parts): Promise<number> {
  const report = await readFeedReport(source, warehouse, config.slotName)
  print(config, report, describeFeedReport(report))
  return exitCodes.done
}

async function verify(config: Config<typeof verifyOptions>, { source, warehouse }: Parts): Promise<number> {
  const caughtUp = async () => {
    const lsn = await readWalEnd(source)
    await waitForPosition(source, warehouse, config.slotName, lsn, config.timeoutMs)
  }
  const verdicts: TableVerdict[] = []
  for (const table of await readSourceTables(source, registry)) {
    verdicts.push(await verifyTable({ source, warehouse, replica: deriveReplica(table), caughtUp }))
  }
  print(config, { tables: verdicts }, verdicts.map(describeVerdict).join(''))
  return verdicts.some(({ differences }) => differences.length > 0) ? exitCodes.different : exitCodes.done
}

function describeVerdict({ table, rows, differences }: TableVerdict): string {
  if (differences.length === 0) return `${table}: ${rows} rows, all equal\n`
  const shown = differences
    .slice(0, differencesShown)
    .map(
      ({ key, column, source, replica }) =>
        `    ${key.join(', ')} ${column}: ${source} at the source, ${replica} here\n`,
    )
  return `${table}: ${rows} rows, ${differences.length} differences\n${shown.join('')}`
}

function print(config: { json: boolean }, answer: unknown, text: string): void {
  process.stdout.write(config.json ? `${JSON.stringify(answer)}\n` : text)
}
