import { type ChipRows, nullInt16, nullInt32 } from '../telemetry/packed-rows.ts'
import type { DayFacts } from './metrics.ts'

/** Adds a row to what its day comes to. */
export function collect(facts: DayFacts, rows: ChipRows, row: number): void {
  facts.rows += 1
  facts.rowsWithError += rows.hasError[row]!
  if (rows.hasResponseTime[row] === 1) {
    if (facts.responses === facts.responseTimesMs.length) {
      const grown = new Float32Array(facts.responses * 2)
      grown.set(facts.responseTimesMs)
      facts.responseTimesMs = grown
    }
    facts.responseTimesMs[facts.responses++] = rows.responseTimeMs[row]!
  }
  const battery = rows.batteryPercent[row]!
  if (battery !== nullInt16) {
    facts.batteryRows += 1
    facts.sumOfBatteryPercent += battery
    if (battery < facts.lowestBatteryPercent) facts.lowestBatteryPercent = battery
  }
  const active = rows.activeMs[row]!
  if (active !== nullInt32) facts.activeMs += active
  const movements = rows.movements[row]!
  if (movements !== nullInt32) facts.movements += movements
}

export function noFacts(): DayFacts {
  return {
    rows: 0,
    rowsWithError: 0,
    responseTimesMs: new Float32Array(64),
    responses: 0,
    batteryRows: 0,
    lowestBatteryPercent: Number.POSITIVE_INFINITY,
    sumOfBatteryPercent: 0,
    activeMs: 0,
    movements: 0,
  }
}

export function forget(facts: DayFacts): void {
  facts.rows = 0
  facts.rowsWithError = 0
  facts.responses = 0
  facts.batteryRows = 0
  facts.lowestBatteryPercent = Number.POSITIVE_INFINITY
  facts.sumOfBatteryPercent = 0
  facts.activeMs = 0
  facts.movements = 0
}

/** Calling the engine's sort costs more than sorting a few values: 0.3 s for 290,000 days. */
export function sortAscending(values: Float32Array, count: number): void {
  if (count > 48) {
    values.subarray(0, count).sort()
    return
  }
  for (let i = 1; i < count; i++) {
    const value = values[i]!
    let place = i - 1
    while (place >= 0 && values[place]! > value) {
      values[place + 1] = values[place]!
      place -= 1
    }
    values[place + 1] = value
  }
}
