import { ConfigError, defineOptions } from '@tendon/platform/config.ts'
import { createTerminalProgress } from '@tendon/platform/progress.ts'
import { progressBar } from '@tendon/platform/progress-bar.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import type pg from 'pg'
import { z } from 'zod'
import { type RetryOutcome, retryDeadLetters } from '../changes/dead-letter-retry.ts'
import {
  discardDeadLetters,
  type KeptLetter,
  listDeadLetters,
  tablesWithLetters,
} from '../changes/kept-letters.ts'
import type { LetterPlace } from '../changes/letter-places.ts'
import { deriveReplica } from '../derive/derive-table.ts'
import type { RegistryEntry } from '../registry.ts'
import { lookUpTables } from '../source/source-catalog.ts'
import { namesMeant } from '../source/table-names.ts'
import type { TableChanges } from '../telling/concerned-users.ts'
import { changesOf, wholeLog } from '../telling/tell-users.ts'
import { commandOptions, defineCommand, entriesOf, exitCodes, print } from './command.ts'
import { createTelling, type Telling, tellingOptions } from './telling.ts'

export const deadLetters = defineCommand({
  name: 'dead-letters',
  operands: '<list|retry|discard> [table]',
  summary: 'List the changes that could not be applied, apply them again, or let go of them',
  options: defineOptions({
    ...commandOptions,
    ...tellingOptions,
    limit: {
      env: 'CDC_DEAD_LETTERS_LIMIT',
      flag: 'limit',
      type: z.coerce.number<string>().int().min(1).max(100_000),
      default: 100,
      help: 'How many are listed, the newest first',
    },
  }),
  async act(config, { source, warehouse, operands: [what, name] }) {
    const table = await tableOf(warehouse, name, what)
    switch (what) {
      case 'list': {
        const letters = await listDeadLetters(warehouse, table, config.limit)
        print(config, { dead_letters: letters }, letters.map(describe).join('') || 'no dead letters\n')
        return exitCodes.done
      }
      case 'discard': {
        const discarded = await discardDeadLetters(warehouse, table)
        print(config, { discarded }, `${discarded} discarded\n`)
        return exitCodes.done
      }
      case 'retry': {
        const telling = createTelling(config, warehouse)
        const outcome = await retryAll(config, source, warehouse, table, telling)
        print(config, outcome, describeOutcome(outcome))
        if (outcome.applied > 0) telling.report()
        return outcome.failed_again + outcome.not_retried > 0 ? exitCodes.different : exitCodes.done
      }
      default:
        throw new ConfigError('cdc dead-letters', [`it takes list, retry or discard, and got "${what}"`])
    }
  },
})

/** For whoever has left some. */
export const listCommand = (table: string) => `npm run cdc -- dead-letters list ${table}`

export const describeLetters = (table: string, count: number) =>
  `${count === 1 ? '1 became a dead letter' : `${count} became dead letters`} (${listCommand(table)})`

/** Letters may be of a table that is carried no more; only what has a replica can be applied. */
async function tableOf(
  warehouse: Warehouse,
  name: string | undefined,
  what: string | undefined,
): Promise<string | undefined> {
  if (name === undefined) return undefined
  const withLetters = what === 'retry' ? [] : await tablesWithLetters(warehouse, namesMeant(name))
  const named = namesMeant(name).find((meant) => withLetters.includes(meant))
  return named ?? (await entriesOf(warehouse, name))[0]!.name
}

/** Applies letters again, and tells whose reports they concern. */
async function retryAll(
  { publicationName }: { publicationName: string },
  source: pg.Client,
  warehouse: Warehouse,
  table: string | undefined,
  telling: Telling,
): Promise<RetryOutcome> {
  const progress = createTerminalProgress(process.stderr, new AbortController().signal)
  const text = 'applying dead letters again'
  const entries = await entriesOf(warehouse, undefined)
  const { tables } = await lookUpTables(source, publicationName, entries)
  return progress.step(text, (update) =>
    retryDeadLetters({
      warehouse,
      replicas: tables.map(deriveReplica),
      table,
      onProgress: (part) => update(`${text} ${progressBar(part)}`),
      onApplied: (applied) => telling.tell(byTable(entries, applied), wholeLog),
    }),
  )
}

function describeOutcome({ applied, superseded, failed_again, not_retried }: RetryOutcome): string {
  const left =
    not_retried > 0 ? `, ${not_retried} hold no row that could be applied: resync their tables` : ''
  return `${applied} applied, ${superseded} superseded by later changes, ${failed_again} failed again${left}\n`
}

function byTable(entries: readonly RegistryEntry[], applied: LetterPlace[]): TableChanges[] {
  return entries.flatMap((entry) => {
    const keys = applied.filter(({ table }) => table === entry.name).map(({ key }) => key)
    return keys.length > 0 ? [changesOf(entry, keys)] : []
  })
}

const longestMessage = 200

function describe(letter: KeptLetter): string {
  const { table, key, op, encoding, reason, message, failed_at, topic, partition, offset } = letter
  const shown = message.length > longestMessage ? `${message.slice(0, longestMessage)}…` : message
  const of = [failed_at, table, key, op].filter(Boolean).join(' ')
  const place = topic === '' ? '' : ` (${topic}, partition ${partition}, offset ${offset})`
  return `${of}: ${reason}${place}\n    ${encoding} ${shown}\n`
}
