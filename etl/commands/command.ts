import { type Config, defineOptions } from '@tendon/platform/config.ts'
import { createLog } from '@tendon/platform/log.ts'
import { exitCodes as commonExitCodes } from '@tendon/platform/process-config.ts'
import { jsonOption } from '@tendon/platform/run-commands.ts'
import { createWarehouse, type Warehouse } from '@tendon/warehouse/client.ts'
import { warehouseOptions } from '@tendon/warehouse/options.ts'
import { z } from 'zod'
import { attachedParts, createAttachedEtl } from '../attached-etl.ts'
import { hasMetChip } from '../crm/met-chips.ts'
import type { Etl } from '../etl.ts'
import { etlOptions, runOptions, type SourceConfig, sourceOptions, tellingOptions } from '../options.ts'
import type { ReadingParts } from '../run/run-session.ts'

export const exitCodes = { ...commonExitCodes, skipped: 3, nothingFound: 4 } as const

/** For commands that read telemetry. A person reads the answer, or why there is none; what else goes on is for who asks. */
export const readerOptions = defineOptions({
  ...sourceOptions,
  json: jsonOption('etl'),
  logLevel: { ...sourceOptions.logLevel, default: 'fatal' },
})

/** For commands that measure, and tell whose numbers changed. */
export const jobOptions = defineOptions({ ...runOptions, ...tellingOptions, ...readerOptions })

/** For commands that list what earlier runs have written. */
export const listOptions = defineOptions({
  ...warehouseOptions,
  json: jsonOption('etl'),
  limit: {
    env: 'ETL_LIST_LIMIT',
    flag: 'limit',
    type: z.coerce.number<string>().int().min(1).max(10_000),
    default: 20,
    help: 'How many',
  },
})

// Standard output carries the answer alone.
const logOf = ({ logLevel }: Pick<SourceConfig, 'logLevel'>) =>
  createLog({ service: 'etl', level: logLevel }, process.stderr)

/** Nothing begins its schedule. */
const noSchedule = { schedule: etlOptions.schedule.default, firstRun: etlOptions.firstRun.default }

export async function withEtl(
  config: Config<typeof jobOptions>,
  use: (etl: Etl) => Promise<number>,
): Promise<number> {
  const { etl, warehouse } = createAttachedEtl({ ...noSchedule, ...config }, logOf(config))
  const stop = () => void etl.stop()
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  try {
    return await use(etl)
  } finally {
    process.removeListener('SIGINT', stop)
    process.removeListener('SIGTERM', stop)
    await warehouse.close()
  }
}

/** For what changes nothing: Ctrl-C ends the process, and the server its queries. */
export async function withReadingParts(
  config: SourceConfig,
  use: (parts: ReadingParts) => Promise<number>,
): Promise<number> {
  const parts = attachedParts(config, logOf(config))
  try {
    return await use(parts)
  } finally {
    await parts.warehouse.close()
  }
}

export async function withWarehouse(
  config: { clickhouseUrl: string; clickhouseUser: string; clickhousePassword: string },
  use: (warehouse: Warehouse) => Promise<number>,
): Promise<number> {
  const warehouse = createWarehouse({
    url: config.clickhouseUrl,
    username: config.clickhouseUser,
    password: config.clickhousePassword,
  })
  try {
    return await use(warehouse)
  } finally {
    await warehouse.close()
  }
}

/** What is said of a chip that nobody knows. */
export const unmet = (chip: string, why: string): string =>
  `nothing is known of ${chip}: ${why}. Is it spelt right?\n`

/** The same of a chip of which nothing is listed, if no run has met it. */
export async function unmetChip(
  warehouse: Warehouse,
  chip: string | undefined,
  listed: readonly unknown[],
): Promise<string | undefined> {
  if (chip === undefined || listed.length > 0 || (await hasMetChip(warehouse, chip))) return undefined
  return unmet(chip, 'no run has met it')
}

export function print(json: boolean, value: unknown, text: () => string): void {
  process.stdout.write(json ? `${JSON.stringify(value)}\n` : text())
}
