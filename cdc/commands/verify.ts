import { setTimeout as delay } from 'node:timers/promises'
import { booleanOption, defineOptions } from '@tendon/platform/config.ts'
import { counted } from '@tendon/platform/counted.ts'
import { createTerminalProgress } from '@tendon/platform/progress.ts'
import { progressBar } from '@tendon/platform/progress-bar.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { z } from 'zod'
import { lacksColumns } from '../derive/apply.ts'
import { lookUpCarried } from '../derive/catalog.ts'
import { deriveReplica, type ReplicaTable } from '../derive/derive-table.ts'
import { readMissing } from '../derive/missing-replicas.ts'
import { cdcErrors } from '../errors.ts'
import { connectSource } from '../source/postgres-connection.ts'
import { waitForPosition } from '../source/source-position.ts'
import { readUnreadable } from '../source/unreadable.ts'
import { changesInLog, wholeLog } from '../telling/tell-users.ts'
import { isEqual, type TableVerdict, type VerifyOptions, verifyTable } from '../verify/verify.ts'
import { commandOptions, defineCommand, entriesOf, exitCodes, print, timeoutOption } from './command.ts'
import { listCommand } from './dead-letters.ts'
import { describeProblem, problemOf } from './problem.ts'
import { createTelling, tellingOptions } from './telling.ts'

const verifyOptions = defineOptions({
  ...commandOptions,
  ...tellingOptions,
  repair: {
    env: 'CDC_VERIFY_REPAIR',
    flag: 'repair',
    type: booleanOption,
    default: false,
    help: 'Write what differs into the log as the source has it, and compare again',
  },
  limit: {
    env: 'CDC_VERIFY_LIMIT',
    flag: 'limit',
    type: z.coerce.number<string>().int().min(1).max(1_000_000),
    default: 20,
    help: 'How many differing keys are named in each table',
  },
  timeoutMs: timeoutOption,
})

export const verify = defineCommand({
  name: 'verify',
  operands: '[table]',
  summary: 'Prove that replicas equal their source at one position, or name the keys that differ',
  options: verifyOptions,
  async act(config, { source, warehouse, operands }) {
    const progress = createTerminalProgress(process.stderr, new AbortController().signal)
    const telling = createTelling(config, warehouse)
    const verdicts: TableVerdict[] = []
    const known = config.repair ? await entriesOf(warehouse, undefined) : []
    const asked = await entriesOf(warehouse, operands[0])
    const { tables, refused } = await lookUpCarried(source, warehouse, config.publicationName, asked)
    const unreadable = await readUnreadable(source, tables)
    const missing = await readMissing(warehouse, tables.map(deriveReplica))
    const uncompared = new Map([...refused, ...unreadable, ...missing])
    for (const table of tables.filter(({ qualifiedName }) => !uncompared.has(qualifiedName))) {
      const options: VerifyOptions = {
        warehouse,
        connect: () => connectSource(config.crmDatabaseUrl),
        feed: config.slotName,
        caughtUp: (lsn) => waitForPosition(source, warehouse, config.slotName, lsn, config.timeoutMs),
        replica: deriveReplica(table),
        limit: config.limit,
        repair: config.repair,
        // Whose report showed a wrong row stands in the wrong row, and the log knows nothing of it: so everybody.
        onRepaired: () => telling.tell(known.map(changesInLog), wholeLog),
      }
      const text = `comparing ${table.qualifiedName}`
      await untilItHasColumns(warehouse, options.replica, config.timeoutMs)
      const found = await progress.step(text, (update) =>
        verifyTable({ ...options, onProgress: (part) => update(`${text} ${progressBar(part)}`) }),
      )
      verdicts.push(found)
      if (found.repaired_keys === 0) continue
      const again = await progress.step(`comparing ${table.qualifiedName} again`, () =>
        verifyTable({ ...options, repair: false }),
      )
      verdicts.splice(-1, 1, { ...again, repaired_keys: found.repaired_keys })
    }
    // A table that the source does not let be carried differs from whatever its replica holds, if there is one.
    const problems = [...uncompared.values()].map(problemOf)
    const said = [
      ...verdicts.map((verdict) => describeVerdict(verdict, config.repair)),
      ...problems.map(describeProblem),
    ]
    print(config, { tables: verdicts, problems }, said.join(''))
    if (verdicts.some((verdict) => verdict.repaired_keys > 0)) telling.report()
    return isEqual(verdicts) && problems.length === 0 ? exitCodes.done : exitCodes.different
  },
})

const pollIntervalMs = 250

/** While the feed brings a replica into its source's new shape. */
async function untilItHasColumns(
  warehouse: Warehouse,
  replica: ReplicaTable,
  timeoutMs: number,
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (await lacksColumns(warehouse, replica)) {
    if (performance.now() > deadline) {
      const { qualifiedName } = replica.source
      throw cdcErrors.schemaChanged(`The replica of ${qualifiedName} lacks columns of it. Does the feed run?`)
    }
    await delay(pollIntervalMs)
  }
}

function describeVerdict(verdict: TableVerdict, isRepairing: boolean): string {
  const { table, position, rows, replica_rows, differing_keys, has_more, repaired_keys } = verdict
  if (verdict.equal) {
    const repaired = repaired_keys > 0 ? `, ${repaired_keys} repaired` : ''
    return `${table}: ${counted(rows, 'row')} at ${position}, all equal in ${verdict.columns.length} checksums${repaired}\n`
  }
  const columns = verdict.columns.filter(({ equal }) => !equal).map(({ column }) => column)
  const lines = verdict.differences.map(
    ({ key, column, source, replica }) =>
      `    ${key.join(', ')} ${column}: ${said(source)} at the source, ${said(replica)} here\n`,
  )
  const counts = `${counted(rows, 'row')} at ${position}, ${replica_rows} here`
  if (differing_keys === 0) {
    return `${table}: ${counts}, the checksums of ${columns.join(', ')} differ, and no key that does was found: resync it\n`
  }
  const repaired = isRepairing
    ? `, ${repaired_keys} repaired; what its replica does not take is a dead letter (${listCommand(table)})`
    : ''
  const least = has_more ? 'at least ' : ''
  return `${table}: ${counts}, ${least}${differing_keys === 1 ? '1 key differs' : `${differing_keys} keys differ`} (${columns.join(', ')})${repaired}\n${lines.join('')}`
}

const said = (text: string | null | undefined) => (text === undefined ? 'none' : (text ?? 'NULL'))
