import { defineOptions, textOption } from '@tendon/platform/config.ts'
import { counted } from '@tendon/platform/counted.ts'
import { readProcessConfig } from '@tendon/platform/process-config.ts'
import type { Command } from '@tendon/platform/run-commands.ts'
import { listUnowned, whyUnowned } from '../load/unowned.ts'
import { exitCodes, listOptions, print, unmetChip, withWarehouse } from './command.ts'

const options = defineOptions({
  ...listOptions,
  chip: {
    env: 'ETL_UNOWNED_CHIP',
    flag: 'chip',
    type: textOption,
    optional: true,
    help: 'Only this chip',
  },
})

export const unowned: Command = {
  name: 'unowned',
  operands: '',
  summary: 'List chips whose telemetry is nobody’s: unknown to the CRM, or with nobody on those days',
  async run(argv) {
    const config = readProcessConfig('etl unowned', 'npm run etl -- unowned [options]', options, argv)
    return withWarehouse(config, async (warehouse) => {
      const { chip, limit } = config
      const found = await listUnowned(warehouse, { chip, limit: limit + 1 })
      const chips = found.slice(0, limit)
      const unmet = await unmetChip(warehouse, chip, chips)
      print(config.json, chips, () => {
        const lines = chips.map(({ chip_id, is_known, row_count, days }) => {
          const first = days[0]!.day
          const last = days.at(-1)!.day
          const when =
            first === last ? `on ${first}` : `${counted(days.length, 'day')} from ${first} to ${last}`
          return `${chip_id}  ${counted(row_count, 'row')}  ${when}  ${whyUnowned(is_known)}\n`
        })
        if (unmet) return unmet
        if (found.length > limit) lines.push('there are more, none with more rows: see --limit\n')
        const all = chip === undefined ? 'all telemetry' : `all telemetry of ${chip}`
        return lines.join('') || `${all} is somebody’s\n`
      })
      return unmet ? exitCodes.nothingFound : exitCodes.done
    })
  },
}
