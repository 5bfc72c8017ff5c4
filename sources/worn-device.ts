import type { DemoProsthesis } from './demo-crm.ts'
import { allErrorCodes, drawErrorCode, drawResponseTimeMs, kindTraits } from './limb-use.ts'
import type { Random } from './random.ts'
import type { TelemetryCopyWriter } from './telemetry-copy.ts'
import { dayMs } from './utc-days.ts'

export type WornDevice = {
  /** Writes what the device sends from where it stopped until `endMs` (not included). */
  runUntil(endMs: number, writer: TelemetryCopyWriter): void
}

const hourMs = 3_600_000
const minuteMs = 60_000

const movementSignal = Buffer.from('movement')
const statusSignal = Buffer.from('status')
const errorSignal = Buffer.from('error')

const errorCodes = new Map(allErrorCodes.map((code) => [code, Buffer.from(code)]))

/** How much people move by the hour of their own day: slow mornings, a dip after lunch, quiet evenings. */
const hourlyIntensity = [
  0.05, 0.05, 0.05, 0.05, 0.1, 0.2, 0.45, 0.8, 1.1, 1.25, 1.2, 1.15, 0.8, 0.7, 0.95, 1.1, 1.2, 1.25, 1.1, 0.9,
  0.65, 0.45, 0.25, 0.1,
]

/** One prosthesis in one person's life: habits are drawn once, days from habits, messages from days. */
export function createWornDevice(prosthesis: DemoProsthesis, random: Random, startMs: number): WornDevice {
  const chipId = Buffer.from(prosthesis.row.chip_id)
  const traits = kindTraits[prosthesis.model.kind]
  const offsetMs = prosthesis.utcOffsetHours * hourMs
  const faultFromMs = prosthesis.faultFromDay * dayMs
  const faultToMs = prosthesis.faultToDay * dayMs

  const habits = {
    wearStartHour: random.normal(7.2, 0.9),
    wearHours: prosthesis.wornDaily ? random.normal(14, 0.6) : Math.max(4, random.normal(12.6, 2.2)),
    activity: Math.max(0.3, random.normal(1, 0.3)),
    skipsDay: prosthesis.wornDaily ? 0 : random.float() ** 3 * 0.3,
    chargesAtNight: prosthesis.wornDaily ? 1 : random.normal(0.93, 0.04),
    responseMs: traits.responseMs * random.normal(1, 0.12),
  }

  let atMs = startMs + random.integer(0, 20_000)
  let battery = random.integer(70, 100)
  let chargingUntilPercent = 0
  let day = { number: -1, startMs: 0, endMs: 0, activity: 0, charges: false }

  /** Draws one local day: when the device is put on and taken off, and how lively it is. */
  function planDay(number: number) {
    const localMidnightMs = number * dayMs - offsetMs
    const isWeekend = number % 7 === 2 || number % 7 === 3
    const worn = !random.chance(habits.skipsDay * (isWeekend ? 1.6 : 1))
    const dayStartMs =
      localMidnightMs + (habits.wearStartHour + (isWeekend ? 1.3 : 0) + random.normal(0, 0.4)) * hourMs
    const wornMs = worn ? Math.max(2, habits.wearHours + random.normal(0, 1)) * hourMs : 0
    day = {
      number,
      startMs: dayStartMs,
      endMs: Math.min(dayStartMs + wornMs, localMidnightMs + dayMs - 5 * minuteMs),
      activity: habits.activity * (0.65 + random.float() * 0.7),
      charges: random.chance(habits.chargesAtNight),
    }
  }

  /** One message on the charger, and what it charges until the next. A full charge takes about three hours at night, half of that by day. */
  function charge(minutes: number, percentPerHour: number, writer: TelemetryCopyWriter) {
    writer.write(chipId, statusSignal, atMs, Math.floor(battery), undefined, undefined, undefined, undefined)
    battery = Math.min(100, battery + (minutes / 60) * percentPerHour)
  }

  function wear(minutes: number, writer: TelemetryCopyWriter) {
    const localHour = Math.floor((atMs + offsetMs) / hourMs) % 24
    const intensity = hourlyIntensity[localHour]! * day.activity * (0.4 + random.float() * 1.2)
    const movements = Math.round(traits.perMinute * intensity * minutes)
    battery = Math.max(1, battery - minutes * (0.035 + 0.05 * intensity))
    const batteryPercent = Math.floor(battery)
    const isFaulty = atMs >= faultFromMs && atMs < faultToMs
    if (movements === 0) {
      writer.write(chipId, statusSignal, atMs, batteryPercent, undefined, undefined, undefined, undefined)
    } else {
      const activeMs = Math.min(
        Math.round(movements * traits.runMs * (0.7 + random.float() * 0.6)),
        minutes * minuteMs,
      )
      const responseMs = drawResponseTimeMs(random, habits.responseMs, { batteryPercent, isFaulty })
      writer.write(chipId, movementSignal, atMs, batteryPercent, undefined, responseMs, movements, activeMs)
    }
    const errorCode = drawErrorCode(random, isFaulty)
    if (errorCode !== undefined) {
      const failedAtMs = atMs + random.integer(1, 900)
      const code = errorCodes.get(errorCode)
      writer.write(chipId, errorSignal, failedAtMs, batteryPercent, code, undefined, undefined, undefined)
    }
  }

  /** One message, and how many minutes it is until the next; no message while the device is off. */
  function step(writer: TelemetryCopyWriter): number {
    if (chargingUntilPercent > 0) {
      charge(12, 70, writer)
      if (battery >= chargingUntilPercent) chargingUntilPercent = 0
      return 12
    }
    if (atMs >= day.startMs && atMs < day.endMs) {
      const minutes = 8 + random.integer(0, 13)
      wear(minutes, writer)
      if (battery < 9) chargingUntilPercent = random.integer(50, 85)
      return minutes
    }
    const localMidnightMs = (day.number + 1) * dayMs - offsetMs
    const untilMs = atMs < day.startMs && day.endMs > day.startMs ? day.startMs : localMidnightMs
    const untilNextMinutes = Math.ceil((untilMs - atMs) / minuteMs)
    if (!day.charges) return untilNextMinutes
    const minutes = random.integer(60, 100)
    charge(Math.min(minutes, untilNextMinutes), 32, writer)
    return Math.min(minutes, untilNextMinutes)
  }

  return {
    runUntil(endMs, writer) {
      while (atMs < endMs) {
        const dayNumber = Math.floor((atMs + offsetMs) / dayMs)
        if (dayNumber !== day.number) planDay(dayNumber)
        const rowsBefore = writer.rows
        const nextMs = atMs + step(writer) * minuteMs + random.integer(0, 9_999)
        // A device that is on reports at each UTC midnight too, so its day does not begin with a gap.
        const isOn = writer.rows > rowsBefore
        const midnightMs = (Math.floor(atMs / dayMs) + 1) * dayMs
        atMs = isOn && nextMs > midnightMs ? midnightMs + random.integer(0, 20_000) : nextMs
      }
    },
  }
}
