import type { Freshness } from '@tendon/contracts/freshness.ts'
import { within } from '@tendon/platform/within.ts'
import type { ReadWarehouse } from '../declarations/report.ts'
import { newerFreshness, readDeliveredFreshness } from './freshness.ts'

/** Undefined as long as it could not be read. */
export type CurrentFreshness = () => Promise<Freshness | undefined>

const maxAgeMs = 1_000

/**
 * How current a report is whose generation is still the same after this was read, as far as the generation covers it: up to
 * here, every change has given the users it concerns a new one.
 *
 * One reading serves all users for a second. A hit has no other need of ClickHouse, so it waits for a slow one only
 * briefly and makes do with what was read before: an older claim says less, but is true.
 * @param options.waitLimitMs after a reading began, nobody waits longer for it than this
 */
export function createCurrentFreshness(options: {
  read: ReadWarehouse
  waitLimitMs: number
}): CurrentFreshness {
  const { read, waitLimitMs } = options
  let known: Freshness | undefined
  let reading: Promise<void> | undefined
  let readAtMs = Number.NEGATIVE_INFINITY

  async function readAgain(): Promise<void> {
    try {
      const delivered = await readDeliveredFreshness(read, known?.etl_run ?? null)
      known = known ? newerFreshness(known, delivered) : delivered
    } finally {
      reading = undefined
    }
  }

  return async () => {
    if (!reading && performance.now() - readAtMs > maxAgeMs) {
      readAtMs = performance.now()
      reading = readAgain()
    }
    // A failure is shown by readiness and by the reports that are not there yet.
    const waitMs = Math.max(readAtMs + waitLimitMs - performance.now(), 0)
    const settled = reading?.catch(() => {})
    if (settled) await within(settled, waitMs, () => undefined)
    return known
  }
}
