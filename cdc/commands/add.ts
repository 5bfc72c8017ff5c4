import { setTimeout as delay } from 'node:timers/promises'
import { defineOptions, millisecondsOption } from '@tendon/platform/config.ts'
import { applyMigrations } from '@tendon/warehouse/migrate.ts'
import { z } from 'zod'
import { deriveReplica } from '../derive-table.ts'
import { cdcErrors } from '../errors.ts'
import { addKnownTable } from '../known-tables.ts'
import { readFinishedSnapshots } from '../snapshot-record.ts'
import { readSourceTables } from '../source-catalog.ts'
import { commandOptions, defineCommand, exitCodes, print } from './command.ts'

const pollIntervalMs = 200

const list = z.string().transform((text) => text.split(',').map((part) => part.trim()))
const assignments = z
  .string()
  .regex(/^[^=;]+=[^;]+(;[^=;]+=[^;]+)*$/, 'not of the form column=Type;column=Type')
  .transform((text) =>
    Object.fromEntries(
      text.split(';').map((part): [string, string] => {
        const equals = part.indexOf('=')
        return [part.slice(0, equals).trim(), part.slice(equals + 1).trim()]
      }),
    ),
  )

const addOptions = defineOptions({
  ...commandOptions,
  omit: {
    env: 'CDC_OMIT',
    flag: 'omit',
    type: list,
    optional: true,
    help: 'Columns that stay out, as in phone,email',
  },
  types: {
    env: 'CDC_TYPES',
    flag: 'types',
    type: assignments,
    optional: true,
    help: 'Narrower ClickHouse types, as in price=Decimal(10, 2);tags=Array(String)',
  },
  users: {
    env: 'CDC_USERS',
    flag: 'users',
    type: z.string().min(1),
    optional: true,
    help: 'Whose reports a change concerns: SELECT of user_id, as in cdc/registry.ts (default: nobody’s)',
  },
  timeoutMs: {
    env: 'CDC_ADD_TIMEOUT_MS',
    flag: 'timeout-ms',
    type: millisecondsOption,
    default: 120_000,
    help: 'How long to wait for the running feed to have read the table whole',
  },
})

export const add = defineCommand({
  name: 'add',
  operands: '<schema.table>',
  summary: 'Carry another table, while everything runs',
  options: addOptions,
  async act(config, { source, warehouse, operands }) {
    const name = operands[0]!.includes('.') ? operands[0]! : `public.${operands[0]}`
    const entry = {
      name,
      omitColumns: config.omit ?? [],
      types: config.types ?? {},
      users: config.users ?? '',
    }
    // What cannot be carried as asked is refused before it is written down.
    const [table] = await readSourceTables(source, [entry])
    const [problem] = deriveReplica(table!).problems
    if (problem) throw problem
    await applyMigrations(warehouse)
    const before = (await readFinishedSnapshots(warehouse)).get(name)
    if (before) {
      print(config, { table: name, added: false }, `${name} is carried already\n`)
      return exitCodes.done
    }
    await addKnownTable(warehouse, entry)
    const deadline = performance.now() + config.timeoutMs
    while (!(await readFinishedSnapshots(warehouse)).get(name)) {
      if (performance.now() > deadline) {
        throw cdcErrors.notCaughtUp(`${name} is in the registry, but no running feed has read it whole yet.`)
      }
      await delay(pollIntervalMs)
    }
    print(config, { table: name, added: true }, `${name} is carried\n`)
    return exitCodes.done
  },
})
