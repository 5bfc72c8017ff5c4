import { defineOptions } from '@tendon/platform/config.ts'
import { counted } from '@tendon/platform/counted.ts'
import { createLog } from '@tendon/platform/log.ts'
import { createTerminalProgress } from '@tendon/platform/progress.ts'
import { progressBar } from '@tendon/platform/progress-bar.ts'
import { connectSource } from '../source/postgres-connection.ts'
import { estimateRows } from '../source/source-catalog.ts'
import { waitForPosition } from '../source/source-position.ts'
import { changesInLog } from '../telling/tell-users.ts'
import { resyncTable } from '../whole-tables/resync.ts'
import {
  commandOptions,
  defineCommand,
  entriesOf,
  exitCodes,
  print,
  replicaOf,
  timeoutOption,
} from './command.ts'
import { describeLetters } from './dead-letters.ts'
import { createTelling, tellingOptions } from './telling.ts'

export const resync = defineCommand({
  name: 'resync',
  operands: '<table>',
  summary: 'Rebuild a replica from its source beside the present one, which it replaces in one step',
  options: defineOptions({ ...commandOptions, ...tellingOptions, timeoutMs: timeoutOption }),
  async act(config, parts) {
    const { source, warehouse } = parts
    const replica = await replicaOf(config, parts)
    const entries = await entriesOf(warehouse, undefined)
    const { oid, qualifiedName } = replica.source
    const progress = createTerminalProgress(process.stderr, new AbortController().signal)
    const text = `reading ${qualifiedName}`
    const estimate = await estimateRows(source, oid)
    const telling = createTelling(config, warehouse)
    const { rows, deadLetters, position, versions } = await progress.step(text, (update) =>
      resyncTable({
        warehouse,
        connect: () => connectSource(config.crmDatabaseUrl),
        crmDatabaseUrl: config.crmDatabaseUrl,
        feed: config.slotName,
        caughtUp: (lsn) => waitForPosition(source, warehouse, config.slotName, lsn, config.timeoutMs),
        replica,
        entries,
        log: createLog({ service: 'cdc' }, process.stderr),
        onRows: (read) => {
          if (read % rowsBetweenUpdates === 0)
            update(`${text} ${progressBar(read / Math.max(read, estimate))} ${read} rows`)
        },
      }),
    )
    await telling.tell([changesInLog(replica.source.entry)], versions)
    const answer = { table: qualifiedName, rows: rows - deadLetters, dead_letters: deadLetters, position }
    const done = `${qualifiedName} is rebuilt from the source as it was at ${position}`
    print(config, answer, `${done}: ${describeRows(qualifiedName, rows, deadLetters)}\n`)
    telling.report()
    return deadLetters > 0 ? exitCodes.different : exitCodes.done
  },
})

function describeRows(table: string, rows: number, deadLetters: number): string {
  if (deadLetters === 0) return counted(rows, 'row')
  return `${rows - deadLetters} of ${counted(rows, 'row')}; ${describeLetters(table, deadLetters)}`
}

const rowsBetweenUpdates = 1000
