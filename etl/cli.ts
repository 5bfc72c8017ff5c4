import { booleanOption, type Config, ConfigError, defineOptions } from '@tendon/platform/config.ts'
import { createLog } from '@tendon/platform/log.ts'
import {
  exitCodes as commonExitCodes,
  readProcessConfig,
  runProgram,
} from '@tendon/platform/process-config.ts'
import { createWarehouse } from '@tendon/warehouse/client.ts'
import { warehouseOptions } from '@tendon/warehouse/options.ts'
import { z } from 'zod'
import { createAttachedEtl } from './attached-etl.ts'
import { attachedOptions } from './options.ts'
import { type EtlRun, listRuns } from './run-records.ts'
import type { SkippedRun } from './run-session.ts'

const exitCodes = { ...commonExitCodes, skipped: 3 }

const usage = `npm run etl -- <command> [options]

Commands:
  run    Run the job once, now
  runs   List the newest runs
Each has --help.

Exit codes: 0 done, 1 failed, 3 nothing done because another run is going, 64 wrong usage.
`

const json = {
  env: 'ETL_JSON',
  flag: 'json',
  type: booleanOption,
  default: false,
  help: 'Print JSON',
} as const

const runOptions = defineOptions({
  ...attachedOptions,
  json,
  // A person reads the run's record; what else went on is for who asks.
  logLevel: { ...attachedOptions.logLevel, default: 'error' },
})
const runsOptions = defineOptions({
  ...warehouseOptions,
  json,
  limit: {
    env: 'ETL_RUNS_LIMIT',
    flag: 'limit',
    type: z.coerce.number<string>().int().min(1).max(10_000),
    default: 20,
    help: 'How many runs',
  },
})

const [command, ...argv] = process.argv.slice(2)

await runProgram(async () => {
  switch (command) {
    case 'run':
      return runNow(readProcessConfig('etl run', 'npm run etl -- run [options]', runOptions, argv))
    case 'runs':
      return printRuns(readProcessConfig('etl runs', 'npm run etl -- runs [options]', runsOptions, argv))
    case '--help':
      process.stdout.write(usage)
      return exitCodes.done
    default:
      throw new ConfigError('etl', [`unknown command "${command ?? ''}"; there are: run, runs`])
  }
})

async function runNow(config: Config<typeof runOptions>): Promise<number> {
  // Standard output carries the answer alone.
  const log = createLog({ service: 'etl', level: config.logLevel }, process.stderr)
  const { etl, warehouse } = createAttachedEtl(config, log)
  try {
    const run = await etl.runOnce()
    process.stdout.write(config.json ? `${JSON.stringify(run)}\n` : describeRun(run))
    return run.state === 'skipped' ? exitCodes.skipped : exitCodes.done
  } finally {
    await warehouse.close()
  }
}

async function printRuns(config: Config<typeof runsOptions>): Promise<number> {
  const warehouse = createWarehouse({
    url: config.clickhouseUrl,
    username: config.clickhouseUser,
    password: config.clickhousePassword,
  })
  try {
    const runs = await listRuns(warehouse, config.limit)
    process.stdout.write(config.json ? `${JSON.stringify(runs)}\n` : runs.map(describeRun).join(''))
    return exitCodes.done
  } finally {
    await warehouse.close()
  }
}

function describeRun(run: EtlRun | SkippedRun): string {
  if (run.state === 'skipped') return 'skipped: another run is going\n'
  const ownerless = run.unknown_chips.length > 0 ? `, ${run.unknown_chips.length} chips without an owner` : ''
  const work = `${run.pairs} chip days, ${run.rows_written} rows written, ${run.rows_deleted} deleted`
  const error = run.error ? `\n    ${run.error}` : ''
  return `${run.run_seq}  ${run.started_at}  ${run.state}  ${work}, ${run.users_invalidated} users${ownerless}${error}\n`
}
