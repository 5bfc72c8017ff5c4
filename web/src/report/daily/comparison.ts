import type { ProsthesisDay } from '@tendon/contracts/prosthesis-daily.ts'
import type { Measure } from '../measures.ts'
import { type Quantity, quantityText } from '../quantity.ts'

/** A day's number beside the other days of the last 30. */
export type Comparison = { mean: number; lowest: number; highest: number; text: string; isConcern: boolean }

/** With fewer days than this, a mean says little. */
const fewestDays = 5

/** Standard deviations from the mean up to which a day is as usual, and beyond which it may be of concern. */
const usualDeviations = 1
const concernDeviations = 2

/**
 * Compares the number of a day that is over with the mean of the other days, by their standard deviation.
 * @param history up to 30 days; the day itself may be among them and is left out
 * @returns null with too few days to compare with
 */
export function compareWithMean(
  measure: Measure,
  today: ProsthesisDay,
  history: ProsthesisDay[],
  quantity: Quantity,
): Comparison | null {
  const value = today[measure.field]
  const others = history.filter(({ day }) => day !== today.day)
  const values = others.map((day) => day[measure.field]).filter((other) => other !== null)
  if (value === null || values.length < fewestDays) return null

  const mean = meanOf(measure, others, values)
  const deviation = Math.sqrt(values.reduce((sum, other) => sum + (other - mean) ** 2, 0) / values.length)
  const meanText = `30-day mean ${quantityText(mean, quantity, measure.digits)}`
  const range = { mean, lowest: Math.min(...values), highest: Math.max(...values) }

  const distance = Math.abs(value - mean)
  if (distance <= usualDeviations * deviation) {
    return { ...range, text: `as usual; ${meanText}`, isConcern: false }
  }
  const direction = value > mean ? 'high' : 'low'
  const position = direction === 'high' ? 'above' : 'below'
  return {
    ...range,
    text: `${differenceText(distance, mean, quantity, measure.digits)} ${position} ${meanText}`,
    isConcern: direction === measure.concern && distance > concernDeviations * deviation,
  }
}

/** The mean of the days; for the error rate that of all events, or a day with three events would weigh like any other. */
function meanOf(measure: Measure, days: ProsthesisDay[], values: number[]): number {
  if (measure.field === 'error_rate') {
    const events = days.reduce((sum, day) => sum + day.events, 0)
    if (events > 0) return days.reduce((sum, day) => sum + day.errors, 0) / events
  }
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** How far a number is from the mean: percentages differ by points, everything else by a share of the mean. */
function differenceText(distance: number, mean: number, quantity: Quantity, digits: number): string {
  if (quantity.isPercent) return quantityText(distance, { ...quantity, suffix: 'points' }, digits)
  if (mean === 0) return quantityText(distance, quantity, digits)
  return quantityText(distance / Math.abs(mean), { factor: 100, suffix: '%', isPercent: true }, 0)
}
