import { defineOptions } from '@tendon/platform/config.ts'
import { createLog } from '@tendon/platform/log.ts'
import { exitCodes as commonExitCodes } from '@tendon/platform/process-config.ts'
import { jsonOption } from '@tendon/platform/run-commands.ts'
import { createWarehouse, type Warehouse } from '@tendon/warehouse/client.ts'
import { warehouseOptions } from '@tendon/warehouse/options.ts'
import { z } from 'zod'
import { createAttachedEtl } from '../attached-etl.ts'
import type { Etl } from '../etl.ts'
import { hasMetChip } from '../met-chips.ts'
import { type AttachedConfig, attachedOptions } from '../options.ts'

export const exitCodes = { ...commonExitCodes, skipped: 3, nothingFound: 4 } as const

/** For commands that read telemetry. A person reads the answer, or why there is none; what else goes on is for who asks. */
export const jobOptions = defineOptions({
  ...attachedOptions,
  json: jsonOption('etl'),
  logLevel: { ...attachedOptions.logLevel, default: 'fatal' },
})

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

export async function withEtl(config: AttachedConfig, use: (etl: Etl) => Promise<number>): Promise<number> {
  // Standard output carries the answer alone.
  const log = createLog({ service: 'etl', level: config.logLevel }, process.stderr)
  const { etl, warehouse } = createAttachedEtl(config, log)
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
