import type { ProsthesisDay } from '@tendon/contracts/prosthesis-daily.ts'
import { compareWithMean } from './comparison.ts'
import { isInProgress } from './day.ts'
import { LiveText } from './live-text.tsx'
import type { Measure } from './measures.ts'
import { numberText, quantityOf } from './quantity.ts'
import { RangeStrip } from './range-strip.tsx'

type MeasureRowProps = {
  measure: Measure
  unit: string | undefined
  day: ProsthesisDay
  history: ProsthesisDay[]
}

/** One line of the day's numbers: what, how much, and how that compares with the last 30 days. */
export function MeasureRow({ measure, unit, day, history }: MeasureRowProps) {
  const value = day[measure.field]
  const quantity = quantityOf(unit)
  const comparison = compareWithMean(measure, day, history, quantity, isInProgress(day.day, Date.now()))
  return (
    <div className="measure" data-testid={`measure-${measure.field}`}>
      <dt>{measure.label}</dt>
      <dd>
        <span className={value === null ? 'figure missing' : 'figure'}>
          <LiveText text={value === null ? 'not measured' : numberText(value, quantity, measure.digits)} />
          {value !== null && quantity.suffix && <span className="unit"> {quantity.suffix}</span>}
        </span>
        {value !== null && comparison && (
          <>
            <RangeStrip value={value} comparison={comparison} />
            <span className={comparison.isConcern ? 'comparison concern' : 'comparison'}>
              {comparison.text}
            </span>
          </>
        )}
      </dd>
    </div>
  )
}
