import { defineOptions, textOption } from '@tendon/platform/config.ts'
import { readProcessConfig } from '@tendon/platform/process-config.ts'
import type { Command } from '@tendon/platform/run-commands.ts'
import { z } from 'zod'
import { countQuarantine, listQuarantine } from '../load/quarantine.ts'
import { quarantineReasons } from '../measure/row-rules.ts'
import { noDay } from '../measure/unmeasurable.ts'
import { dayText } from '../time/instants.ts'
import { exitCodes, listOptions, print, unmetChip, withWarehouse } from './command.ts'

const options = defineOptions({
  ...listOptions,
  reason: {
    env: 'ETL_QUARANTINE_REASON',
    flag: 'reason',
    type: z.enum(quarantineReasons),
    optional: true,
    help: 'Only rows that are there for this reason',
  },
  chip: {
    env: 'ETL_QUARANTINE_CHIP',
    flag: 'chip',
    type: textOption,
    optional: true,
    help: 'Only rows of this chip',
  },
})

export const quarantine: Command = {
  name: 'quarantine',
  operands: '',
  summary: 'List telemetry rows that no number is made from, and why',
  async run(argv) {
    const config = readProcessConfig('etl quarantine', 'npm run etl -- quarantine [options]', options, argv)
    return withWarehouse(config, async (warehouse) => {
      const [counts, rows] = await Promise.all([
        countQuarantine(warehouse, config),
        listQuarantine(warehouse, config),
      ])
      const { chip } = config
      const unmet = await unmetChip(warehouse, chip, rows)
      const listed = rows.map(({ chipId, rowId, day, recordedAt, reason, detail }) => ({
        chip_id: chipId,
        row_id: rowId,
        day: day === noDay ? null : dayText(day),
        recorded_at: recordedAt,
        reason,
        detail,
      }))
      print(config.json, { counts, rows: listed }, () => {
        if (unmet) return unmet
        const total = counts.map(({ reason, rows: count }) => `${reason}: ${count}`).join(', ') || 'nothing'
        const lines = rows.map((row) =>
          [row.chipId || '(no chip)', `row ${row.rowId}`, row.recordedAt, row.reason, row.detail].join('  '),
        )
        return [`in quarantine: ${total}`, ...lines, ''].join('\n')
      })
      return unmet ? exitCodes.nothingFound : exitCodes.done
    })
  },
}
