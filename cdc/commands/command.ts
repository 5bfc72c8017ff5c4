import {
  type Config,
  ConfigError,
  defineOptions,
  millisecondsOption,
  type OptionTable,
  takeOperands,
} from '@tendon/platform/config.ts'
import { exitCodes as programExitCodes, readProcessConfig } from '@tendon/platform/process-config.ts'
import { type Command, jsonOption, refuseOtherThan } from '@tendon/platform/run-commands.ts'
import { createWarehouse, unknownTable, type Warehouse } from '@tendon/warehouse/client.ts'
import { warehouseOptions } from '@tendon/warehouse/options.ts'
import type pg from 'pg'
import { deriveReplica, type ReplicaTable } from '../derive/derive-table.ts'
import { readKnownTables } from '../derive/known-tables.ts'
import { readMissing } from '../derive/missing-replicas.ts'
import { cdcErrors } from '../errors.ts'
import { cdcOptions } from '../options.ts'
import { type RegistryEntry, registry } from '../registry.ts'
import { connectSource } from '../source/postgres-connection.ts'
import { readSourceTables } from '../source/source-catalog.ts'
import { namesMeant } from '../source/table-names.ts'

/** `different`: replicas differ or cannot be compared, rows became dead letters, or dead letters could not be applied. */
export const exitCodes = { ...programExitCodes, different: 3 } as const

const exitCodesHelp = `Ends with 0 when it is done (problems that it prints are none of its own), 1 when it failed and standard error
says why, 3 when replicas differ or cannot be compared or dead letters are left, 64 when it was called wrongly.`

/** Options that every command has. */
export const commandOptions = defineOptions({
  ...cdcOptions,
  ...warehouseOptions,
  json: jsonOption('cdc'),
})

/** For commands that wait for the feed. */
export const timeoutOption = {
  env: 'CDC_TIMEOUT_MS',
  flag: 'timeout-ms',
  type: millisecondsOption,
  default: 60_000,
  help: 'How long to wait for the feed to catch up',
} as const

/** What every command works with. */
export type Parts = { source: pg.Client; warehouse: Warehouse; operands: string[] }

/** A command that reads its options, connects to both databases, acts, and closes what it opened. */
export function defineCommand<const Table extends typeof commandOptions & OptionTable>(definition: {
  name: string
  operands?: string
  summary: string
  options: Table
  act: (config: Config<Table>, parts: Parts) => Promise<number>
}): Command {
  const { name, operands: shape = '', summary, options, act } = definition
  return {
    name,
    operands: shape,
    summary,
    async run(argv) {
      const { operands, flags } = takeOperands(options, argv)
      const usage = `npm run cdc -- ${[name, shape, '[options]'].filter(Boolean).join(' ')}\n\n${summary}\n${exitCodesHelp}`
      const config = readProcessConfig(`cdc ${name}`, usage, options, flags)
      refuseOtherThan(shape, `cdc ${name}`, operands)
      const common: Config<typeof commandOptions> = config
      const source = await connectSource(common.crmDatabaseUrl)
      const warehouse = createWarehouse({
        url: common.clickhouseUrl,
        username: common.clickhouseUser,
        password: common.clickhousePassword,
      })
      try {
        return await act(config, { source, warehouse, operands })
      } catch (error) {
        const unknown = unknownTable(error)
        if (!unknown?.startsWith('cdc')) throw error
        throw cdcErrors.notMadeYet(`ClickHouse has no ${unknown}.`, { cause: error })
      } finally {
        await Promise.all([source.end(), warehouse.close()])
      }
    },
  }
}

/**
 * A table that is carried, by its name in the registry, with or without `public.`, or as PostgreSQL writes it
 * (`"Odd Schema"."T"`); all of them when none is named.
 * @throws ConfigError when it is not carried
 */
export async function entriesOf(
  warehouse: Warehouse,
  name: string | undefined,
): Promise<readonly RegistryEntry[]> {
  const entries = await readKnownTables(warehouse, registry)
  if (name === undefined) return entries
  for (const meant of namesMeant(name)) {
    const entry = entries.find((candidate) => candidate.name === meant)
    if (entry) return [entry]
  }
  const known = entries.map((candidate) => candidate.name).join(', ')
  throw new ConfigError('cdc', [`${name} is not a table that is carried; there are: ${known}`])
}

/**
 * The replica of one table, as the source has it now.
 * @throws TENDON-CDC-035 when it was dropped: what fills it again would find it half full if it died
 */
export async function replicaOf(
  { publicationName }: { publicationName: string },
  { source, warehouse, operands }: Parts,
): Promise<ReplicaTable> {
  const entries = await entriesOf(warehouse, operands[0])
  const [table] = await readSourceTables(source, publicationName, entries)
  const replica = deriveReplica(table!)
  for (const problem of (await readMissing(warehouse, [replica])).values()) throw problem
  return replica
}

/** The answer, on standard output: for scripts or for people. */
export function print(config: { json: boolean }, answer: unknown, text: string): void {
  process.stdout.write(config.json ? `${JSON.stringify(answer)}\n` : text)
}
