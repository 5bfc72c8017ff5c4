import type { DemoCrm, DemoSeed } from './demo-crm.ts'
import { createRandom } from './random.ts'
import { copyHeader, copyTrailer, createTelemetryCopyWriter } from './telemetry-copy.ts'
import { dayMs, dayOf } from './utc-days.ts'
import { createWornDevice } from './worn-device.ts'

export type TelemetryProgress = { day: number; days: number; rows: number }

/**
 * The telemetry of all days up to the instant `today`, as one binary COPY, day after day and by device within a
 * day: the order of the partitions and of their index on (chip_id, recorded_at).
 * @param onDay called when a day is complete
 */
export function* generateDemoTelemetry(
  { prostheses }: DemoCrm,
  { seed, today, volume }: DemoSeed,
  onDay: (progress: TelemetryProgress) => void = () => {},
): Generator<Buffer> {
  const endMs = today.getTime()
  const firstDay = dayOf(today) - volume.days + 1
  const writer = createTelemetryCopyWriter()
  // Each has a random stream of its own: one more customer does not change everybody's data.
  const devices = prostheses
    .map((prosthesis, index) => {
      const startDay = Math.max(firstDay, prosthesis.issuedDay)
      const returnedMs = (prosthesis.returnedDay ?? Number.POSITIVE_INFINITY) * dayMs
      const device = createWornDevice(prosthesis, createRandom(seed + 1 + index), startDay * dayMs)
      return { chipId: prosthesis.row.chip_id, device, endMs: Math.min(endMs, returnedMs) }
    })
    .sort((a, b) => (a.chipId < b.chipId ? -1 : 1))

  yield copyHeader
  for (let day = 1; day <= volume.days; day++) {
    const dayEndMs = (firstDay + day) * dayMs
    for (const { device, endMs: deviceEndMs } of devices)
      device.runUntil(Math.min(dayEndMs, deviceEndMs), writer)
    yield* writer.take()
    onDay({ day, days: volume.days, rows: writer.rows })
  }
  yield copyTrailer
}
