import { ConfigError, defineOptions } from '@tendon/platform/config.ts'
import { counted } from '@tendon/platform/counted.ts'
import { TendonError } from '@tendon/platform/errors.ts'
import { errorAsJson, explainError, readProcessConfig } from '@tendon/platform/process-config.ts'
import { progressLine } from '@tendon/platform/progress-bar.ts'
import type { Command } from '@tendon/platform/run-commands.ts'
import { z } from 'zod'
import { etlErrors } from '../errors.ts'
import type { BackfillResult } from '../run/backfill.ts'
import type { BackfillProgress } from '../run/backfill-progress.ts'
import { exitCodes, jobOptions, print, unmet, withEtl } from './command.ts'
import { untoldText } from './run-text.ts'

const options = defineOptions({
  ...jobOptions,
  from: { env: 'ETL_BACKFILL_FROM', flag: 'from', type: z.iso.date(), help: 'First day, as in 2026-03-01' },
  to: { env: 'ETL_BACKFILL_TO', flag: 'to', type: z.iso.date(), help: 'Last day' },
  chips: {
    env: 'ETL_BACKFILL_CHIPS',
    flag: 'chips',
    type: z
      .string()
      .transform((text) => text.split(',').map((chip) => chip.trim()))
      .refine((chips) => !chips.includes(''), 'a name is missing between two commas, or at an end'),
    optional: true,
    help: 'Only these chips, separated by commas',
  },
})

export const backfill: Command = {
  name: 'backfill',
  operands: '',
  summary: 'Measure days again; the same call goes on where the last one was stopped',
  async run(argv) {
    const usage = 'npm run etl -- backfill --from DAY --to DAY [--chips A,B] [--parallel N] [options]'
    const config = readProcessConfig('etl backfill', usage, options, argv)
    return withEtl(config, async (etl) => {
      const { from, to, chips: chipIds } = config
      const result = await etl
        .backfill({ from, to, chipIds }, process.stderr.isTTY ? drawBar : undefined)
        .finally(() => process.stderr.isTTY && process.stderr.write('\n'))
        .catch((error: unknown) => {
          if (is(error, etlErrors.requestWrong)) throw new ConfigError('etl backfill', [error.message])
          if (!is(error, etlErrors.lockBusy)) throw error
          process.stderr.write(`${config.json ? errorAsJson(error) : explainError(error)}\n`)
        })
      if (!result) return exitCodes.skipped
      print(config.json, result, () => describe(result))
      return chipIds && result.unmet_chips.length === chipIds.length ? exitCodes.nothingFound : exitCodes.done
    })
  },
}

const is = (
  error: unknown,
  { definition }: Pick<typeof etlErrors.lockBusy, 'definition'>,
): error is TendonError => error instanceof TendonError && error.definition === definition

function drawBar({ days, daysDone, rowsPerSecond, secondsLeft }: BackfillProgress): void {
  const rate = `${Math.round(rowsPerSecond).toLocaleString('en')} rows/s`
  const line = progressLine({ done: daysDone, total: days, unit: 'days', rate, secondsLeft })
  process.stderr.write(`\r${line}\x1b[K`)
}

function describe(result: BackfillResult): string {
  const resumed = result.days_resumed > 0 ? ` (${result.days_resumed} of them before)` : ''
  return (
    `${counted(result.days, 'day')}${resumed}, ${counted(result.rows_in, 'row')}, ` +
    `${counted(result.rows_written, 'row')} written, ${result.rows_deleted} deleted, ` +
    `${counted(result.users_changed, 'user')} changed\n` +
    (result.days_to_come > 0
      ? `${counted(result.days_to_come, 'day')} more to come, which runs measure when they have begun\n`
      : '') +
    (result.is_untold ? `${untoldText}\n` : '') +
    result.unmet_chips
      .map((chip) => unmet(chip, 'the CRM does not have it, and it sent nothing on these days'))
      .join('')
  )
}
