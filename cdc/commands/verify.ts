import { defineOptions, millisecondsOption } from '@tendon/platform/config.ts'
import { deriveReplica } from '../derive-table.ts'
import { registry } from '../registry.ts'
import { readSourceTables } from '../source-catalog.ts'
import { readWalEnd, waitForPosition } from '../source-position.ts'
import { type TableVerdict, verifyTable } from '../verify.ts'
import { commandOptions, defineCommand, exitCodes, print } from './command.ts'

/** Of each table, in the text for people. */
const differencesShown = 10

export const verify = defineCommand({
  name: 'verify',
  summary: 'Compare every replica with its source, row for row and value for value',
  options: defineOptions({
    ...commandOptions,
    timeoutMs: {
      env: 'CDC_VERIFY_TIMEOUT_MS',
      flag: 'timeout-ms',
      type: millisecondsOption,
      default: 60_000,
      help: 'How long to wait for the feed to catch up',
    },
  }),
  async act(config, { source, warehouse }) {
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
  },
})

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
