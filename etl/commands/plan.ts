import { defineOptions } from '@tendon/platform/config.ts'
import { counted } from '@tendon/platform/counted.ts'
import { readProcessConfig } from '@tendon/platform/process-config.ts'
import type { Command } from '@tendon/platform/run-commands.ts'
import { measuringOptions } from '../options.ts'
import { type Plan, type PlannedChange, planRun } from '../run/plan.ts'
import { exitCodes, print, readerOptions, withReadingParts } from './command.ts'
import { describeProblem } from './run-text.ts'

const options = defineOptions({ ...measuringOptions, ...readerOptions })

export const plan: Command = {
  name: 'plan',
  operands: '',
  summary: 'Say what a run would do now, and do nothing',
  async run(argv) {
    const config = readProcessConfig('etl plan', 'npm run etl -- plan [options]', options, argv)
    return withReadingParts(config, async (parts) => {
      const planned = await planRun({ ...parts, config })
      print(config.json, planned, () => describePlan(planned))
      return exitCodes.done
    })
  },
}

function describePlan(planned: Plan): string {
  const kept =
    planned.users_kept > 0
      ? `, and ${counted(planned.users_kept, 'user')} of earlier runs who were not told`
      : ''
  const isBlocked = planned.problems.some(({ kind }) => kind === 'failed_check')
  const reason = planned.full_reason ? `: ${planned.full_reason}` : ''
  return [
    `${planned.mode}${reason}`,
    `${counted(planned.pairs, 'day')} to measure, of ${counted(planned.rows_in, 'row')} (${planned.rows_quarantined} to quarantine, ${planned.rows_unowned} of nobody)`,
    `${counted(planned.rows_written, 'row')} to write, ${planned.rows_deleted} to delete, ${planned.rows_unchanged} to leave as they are`,
    `${counted(planned.users, 'user')} to invalidate${kept}`,
    ...(isBlocked ? ['a check blocks the run, which loads nothing more; with --accept-checks it does'] : []),
    ...planned.problems.map(describeProblem),
    ...planned.sample.map(describeChange),
    '',
  ].join('\n')
}

/** An average has more digits than anybody reads; `--json` has them all. */
const shown = (value: number | string | null | undefined): string =>
  typeof value === 'number' && !Number.isInteger(value) ? String(Number(value.toPrecision(6))) : String(value)

function describeChange({ change, user_id, prosthesis_id, day, before, after }: PlannedChange): string {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])]
  const values = names.map((name) => {
    const is = name in after ? shown(after[name]) : ''
    return name in before ? `${name} ${shown(before[name])} → ${is || 'gone'}` : `${name} ${is}`
  })
  return `${change}  user ${user_id}  prosthesis ${prosthesis_id}  ${day}\n    ${values.join(', ')}`
}
