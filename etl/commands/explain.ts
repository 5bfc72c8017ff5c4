import { ConfigError, defineOptions, takeOperands } from '@tendon/platform/config.ts'
import { counted } from '@tendon/platform/counted.ts'
import { readProcessConfig } from '@tendon/platform/process-config.ts'
import { type Command, refuseOtherThan } from '@tendon/platform/run-commands.ts'
import { z } from 'zod'
import { readingOptions } from '../options.ts'
import { type ExplainedDay, explainDay } from '../run/explain.ts'
import { exitCodes, print, readerOptions, withReadingParts } from './command.ts'

const options = defineOptions({ ...readingOptions, ...readerOptions })
const shape = '<user> <day>'
const operands = z.object({
  userId: z.uuid('the user is not a UUID: customers.id of the CRM'),
  day: z.iso.date('the day is not a date, as 2026-03-01 is'),
})

export const explain: Command = {
  name: 'explain',
  operands: shape,
  summary: 'Say which telemetry rows the numbers of a user’s day come from',
  async run(argv) {
    const { operands: given, flags } = takeOperands(options, argv)
    const usage = `npm run etl -- explain ${shape} [options]`
    const config = readProcessConfig('etl explain', usage, options, flags)
    refuseOtherThan(shape, 'etl explain', given)
    const parsed = operands.safeParse({ userId: given[0], day: given[1] })
    if (!parsed.success) {
      throw new ConfigError(
        'etl explain',
        parsed.error.issues.map(({ message }) => message),
      )
    }
    return withReadingParts(config, async (parts) => {
      const explained = await explainDay({ ...parts, config }, parsed.data)
      print(config.json, explained, () => explained.map(describe).join('\n') || 'no prosthesis on that day\n')
      return explained.length > 0 ? exitCodes.done : exitCodes.nothingFound
    })
  },
}

const zoneSources: Record<ExplainedDay['time_zone_from'], string> = {
  crm: '',
  run: ', as a run last saw it',
  default: ', the default: where they live is not known',
}

const shown = (value: number | string | null | undefined) => String(value ?? '') || '-'

function describe({
  prosthesis_id,
  chip_id,
  time_zone,
  time_zone_from,
  from,
  to,
  is_gone,
  taken_back_by_run,
  standing,
  computed,
  rows,
}: ExplainedDay): string {
  const numbers = Object.keys(computed ?? standing ?? {}).map((name) => {
    const [stands, comes] = [shown(standing?.[name]), shown(computed?.[name])]
    const differs = stands === comes ? '' : `   (${is_gone ? 'its rows come to' : 'now'} ${comes})`
    return `  ${name.padEnd(22)} ${stands}${differs}\n`
  })
  const lines = rows.map((row) => {
    const values = [
      `response ${row.response_time_ms ?? '-'}`,
      `battery ${row.battery_percent ?? '-'}`,
      `error ${row.error_code ?? '-'}`,
      `movements ${row.movement_count ?? '-'}`,
      `active ${row.active_ms ?? '-'}`,
    ].join(', ')
    return `  ${row.use.padEnd(9)}  row ${row.id}  ${row.recorded_at}  ${row.signal}  ${values}\n`
  })
  const head = `prosthesis ${prosthesis_id}, chip ${chip_id}, ${from} to ${to} (${time_zone}${zoneSources[time_zone_from]}), ${counted(rows.length, 'row')}\n`
  const gone = taken_back_by_run ? `run ${taken_back_by_run} took it back` : 'the next run takes it back'
  const why = is_gone ? `  the CRM no longer says that they had it then: ${gone}\n` : ''
  return head + why + numbers.join('') + lines.join('')
}
