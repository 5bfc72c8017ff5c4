import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import type { QuarantinedRow } from '../measure/chip-measurer.ts'
import { createUnmeasurableJudge } from '../measure/unmeasurable.ts'
import type { Extraction } from '../run/extraction.ts'
import type { RunSession } from '../run/run-session.ts'
import { type Since, sliceBits } from '../telemetry/telemetry.ts'
import type { Mark } from './mark.ts'
import { keyOf, quarantineColumns, quarantinedRow, writeQuarantine } from './quarantine.ts'

const chips = z.object({ any_chip: z.boolean(), chips: z.array(z.string()) })

/** Rows without a day are all that stand for what cannot be measured. */
const standsSql = `toUInt16(day) = 0 AND ({any_chip:Bool} OR chip_id IN {chips:Array(String)})`

const standingSlices = defineQuery({
  name: 'etl-standing-unmeasurable-slices',
  sql: `
    SELECT bitShiftRight(row_id, {slice_bits:UInt8}) AS slice, toUInt32(count()) AS rows
    FROM reports.etl_quarantine FINAL
    WHERE ${standsSql}
    GROUP BY slice
    ORDER BY slice`,
  params: chips.extend({ slice_bits: z.int() }),
  row: z.object({ slice: z.coerce.number<string>(), rows: z.int() }),
})

const standingUnmeasurable = defineQuery({
  name: 'etl-standing-unmeasurable',
  sql: `
    SELECT ${quarantineColumns}
    FROM reports.etl_quarantine FINAL
    WHERE ${standsSql} AND row_id BETWEEN {first_id:Int64} AND {last_id:Int64}`,
  params: chips.extend({ first_id: z.bigint(), last_id: z.bigint() }),
  row: quarantinedRow,
})

/** How many are held, beside those of the slice that is being read. */
const rowsAtOnce = 20_000
/** All there can be of int8. Their numbers are exact, where ids may be beyond 2^53. */
const [firstSlice, endOfSlices] = [-(2 ** (63 - sliceBits)), 2 ** (63 - sliceBits)]
const firstIdOf = (slice: number): bigint => BigInt(slice) << BigInt(sliceBits)

/**
 * Puts rows without a chip, or without a day that counts, into quarantine: no number is made of them, wherever they are.
 * They are compared with those that stand in stretches of ids, as they come: there may be any number of both.
 */
export async function loadUnmeasurable(
  session: RunSession,
  { view, days, certain, ownership }: Extraction,
  { since, hasNew, wholeChips }: { since: Since; hasNew: boolean; wholeChips: readonly string[] },
  mark: Mark,
): Promise<void> {
  const { warehouse, record } = session
  const corrected = [...new Set([...(await view.correctedChips(since)), ...wholeChips])]
  if (!hasNew && corrected.length === 0) return
  // Whose standing rows are read whole, so that those which do not come have gone.
  const whole = { any_chip: since === undefined, chips: corrected }
  const slices = await warehouse.query(standingSlices, { ...whole, slice_bits: sliceBits })
  const judge = createUnmeasurableJudge(ownership)
  let found: QuarantinedRow[] = []
  let readingSlice = firstSlice
  let settledSlice = firstSlice

  /** Makes what stands of the slices up to here what was found of them. */
  async function settle(toSlice: number): Promise<void> {
    const toId = firstIdOf(toSlice)
    const ids = { first_id: firstIdOf(settledSlice), last_id: toId - 1n }
    const standing = await warehouse.query(standingUnmeasurable, { ...whole, ...ids })
    const before = new Map(standing.map((row) => [keyOf(row), row]))
    await session.assertLock()
    await writeQuarantine(
      warehouse,
      found.filter(({ rowId }) => rowId < toId),
      before,
      mark,
    )
    found = found.filter(({ rowId }) => rowId >= toId)
    settledSlice = toSlice
  }

  async function settleInPieces(toSlice: number): Promise<void> {
    let standing = 0
    while (slices[0] && slices[0].slice < toSlice) {
      const { slice, rows } = slices.shift()!
      standing += rows
      if (standing < rowsAtOnce) continue
      await settle(slice + 1)
      standing = 0
    }
    const toId = firstIdOf(toSlice)
    if (standing > 0 || found.some(({ rowId }) => rowId < toId)) await settle(toSlice)
  }

  await view.unmeasurableRows(since, corrected, certain, {
    take(slice, chipId, bytes) {
      readingSlice = slice
      const judged = judge(chipId, bytes, days)
      record.rows_quarantined += judged.length
      for (const row of judged) found.push(row)
    },
    async afterChunk() {
      if (found.length >= rowsAtOnce && settledSlice < readingSlice) await settleInPieces(readingSlice)
    },
  })
  await settleInPieces(endOfSlices)
}
