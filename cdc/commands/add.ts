import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { ConfigError, defineOptions, millisecondsOption } from '@tendon/platform/config.ts'
import { createTerminalProgress } from '@tendon/platform/progress.ts'
import { progressBar } from '@tendon/platform/progress-bar.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { applyMigrations } from '@tendon/warehouse/migrate.ts'
import type pg from 'pg'
import { z } from 'zod'
import { countLettersSinceRead } from '../changes/kept-letters.ts'
import { lookUpCarried } from '../derive/catalog.ts'
import { deriveReplica } from '../derive/derive-table.ts'
import { addKnownTable, nobody, readKnownTables } from '../derive/known-tables.ts'
import { readMissing } from '../derive/missing-replicas.ts'
import { cdcErrors } from '../errors.ts'
import { type RegistryEntry, registry } from '../registry.ts'
import { withApplyLock } from '../source/advisory-lock.ts'
import { estimateRows, findTable, type SourceTable } from '../source/source-catalog.ts'
import { namesMeant } from '../source/table-names.ts'
import { readUnreadable } from '../source/unreadable.ts'
import { refuseBadUsers } from '../telling/refuse-bad-users.ts'
import { forgetNotes, whatKeepsTelling } from '../telling/telling-notes.ts'
import { rowsInShadow } from '../whole-tables/shadow.ts'
import { forgetSnapshot, readFinishedSnapshots } from '../whole-tables/snapshot-record.ts'
import { commandOptions, defineCommand, exitCodes, print } from './command.ts'
import { describeLetters } from './dead-letters.ts'
import { describeAdvice } from './problem.ts'

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
  summary: 'Carry another table, or one in another way, while everything runs',
  options: addOptions,
  async act(config, { source, warehouse, operands }) {
    await applyMigrations(warehouse)
    const all = await readKnownTables(warehouse, registry)
    const name = await nameOf(source, all, operands[0]!)
    if (registry.some((declared) => declared.name === name)) {
      if (config.omit ?? config.types ?? config.users) {
        throw new ConfigError('cdc add', [
          `${name} is declared in cdc/registry.ts, which says how it is carried`,
        ])
      }
      print(config, { table: name, added: false }, `${name} is declared in cdc/registry.ts\n`)
      return exitCodes.done
    }
    const known = all.find((one) => one.name === name)
    const entry = {
      name,
      omitColumns: config.omit ?? known?.omitColumns ?? [],
      types: config.types ?? known?.types ?? {},
      users: config.users ?? known?.users ?? nobody,
    }
    // What cannot be carried as asked is refused before it is written down.
    const others = all.filter((one) => one !== known)
    const table = await readAddable(source, warehouse, config, entry, others)
    // What was said before may name a column that the source has dropped since.
    refuseUnknownColumns(table, [...(config.omit ?? []), ...Object.keys(config.types ?? {})])
    const replica = deriveReplica(table)
    const [problem] = replica.problems
    if (problem) throw problem
    await withApplyLock(source, config.slotName, () => refuseBadUsers(warehouse, replica))
    const isRead = async () => Boolean((await readFinishedSnapshots(warehouse)).get(name))
    if (!isDeepStrictEqual(known, entry)) {
      // Carried in another way, it is read again, and everybody told whom it concerns now.
      await forgetNotes(warehouse, name)
      await forgetSnapshot(warehouse, name)
      await addKnownTable(warehouse, entry)
      // A feed may have looked in between, and have read it as it was carried before.
      await forgetSnapshot(warehouse, name)
    } else if ((await readMissing(warehouse, [replica])).size > 0) {
      await forgetSnapshot(warehouse, name)
    } else if (await isRead()) {
      print(config, { table: name, added: false }, `${name} is carried already\n`)
      return exitCodes.done
    }
    const text = `waiting until the feed has read ${name}`
    const progress = createTerminalProgress(process.stderr, new AbortController().signal)
    await progress.step(text, async (update) => {
      const rows = await estimateRows(source, replica.source.oid)
      const deadline = performance.now() + config.timeoutMs
      while (!(await isRead())) {
        if (performance.now() > deadline) {
          const why = await whatKeepsTelling(warehouse, config.slotName)
          throw cdcErrors.notCaughtUp(
            `${name} is in the registry, but no running feed has read it whole yet.${why}`,
          )
        }
        const read = await rowsInShadow(warehouse, replica)
        if (read > 0) update(`${text} ${progressBar(read / Math.max(read, rows))} ${read} rows`)
        await delay(pollIntervalMs)
      }
    })
    const { leftOut } = replica.source
    const deadLetters = await countLettersSinceRead(warehouse, name)
    const unfit = deadLetters > 0 ? `, and of its rows ${describeLetters(name, deadLetters)}` : ''
    print(
      config,
      { table: name, added: true, dead_letters: deadLetters, left_out: leftOut },
      `${name} is carried${unfit}\n${leftOut.map(describeAdvice).join('')}`,
    )
    return deadLetters > 0 ? exitCodes.different : exitCodes.done
  },
})

/** The likeliest of those that somebody may mean of which there is one: carried already, or at the source. */
async function nameOf(source: pg.Client, all: readonly RegistryEntry[], text: string): Promise<string> {
  const names = namesMeant(text)
  const found = await findTable(source, names)
  return names.find((name) => name === found || all.some((known) => known.name === name)) ?? names[0]!
}

/** @throws why the source would not let the feed carry it, or another one beside it any more */
async function readAddable(
  source: pg.Client,
  warehouse: Warehouse,
  { publicationName, slotName }: { publicationName: string; slotName: string },
  entry: RegistryEntry,
  others: RegistryEntry[],
): Promise<SourceTable> {
  const without = await lookUpCarried(source, warehouse, publicationName, others)
  const { tables, refused } = await lookUpCarried(source, warehouse, publicationName, [...others, entry])
  const table = tables.find((one) => one.entry === entry)
  const unreadable = await readUnreadable(source, table ? [table] : [], slotName)
  const more = [...refused].filter(([name]) => !without.refused.has(name)).map(([, problem]) => problem)
  const [problem] = [...more, ...unreadable.values()]
  if (problem) throw problem
  return table!
}

/** A misspelt column would be carried, and the log keeps what it has. */
function refuseUnknownColumns({ qualifiedName, columns, omitted }: SourceTable, named: string[]): void {
  const known = new Set([...columns.map(({ name }) => name), ...omitted])
  const unknown = named.filter((name) => !known.has(name))
  if (unknown.length === 0) return
  throw new ConfigError('cdc add', [
    `${qualifiedName} has no column ${unknown.join(', ')}; it has: ${[...known].join(', ')}`,
  ])
}
