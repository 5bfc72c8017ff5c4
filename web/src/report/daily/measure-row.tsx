import type { ProsthesisDay } from '@tendon/contracts/prosthesis-daily.ts'
import { LiveText } from '../live/live-text.tsx'
import type { Measure } from '../measures.ts'
import { numberText, quantityOf } from '../quantity.ts'
import { compareWithMean } from './comparison.ts'
import { RangeStrip } from './range-strip.tsx'

type MeasureRowProps = {
  measure: Measure
  unit: string | undefined
  day: ProsthesisDay
  history: ProsthesisDay[]
  isOver: boolean
}

/** One line of the day's numbers: what, how much, and how that compares with the last 30 days. */
export function MeasureRow({ measure, unit, day, history, isOver }: MeasureRowProps) {
  const value = day[measure.field]
  const quantity = quantityOf(unit)
  // In the morning everything would be below whole days, and a few answers decide an average.
  const comparison = isOver ? compareWithMean(measure, day, history, quantity) : null
  return (
    <div className="measure" data-testid={`measure-${measure.field}`}>
      <dt>{measure.label}</dt>
      <dd>
        <span className={value === null ? 'figure missing' : 'figure'}>
          <LiveText text={value === null ? 'not measured' : numberText(value, quantity, measure.digits)} />
          {value !== null && quantity.suffix && <span className="unit"> {quantity.suffix}</span>}
        </span>
        {value !== null && !isOver && <span className="comparison">so far</span>}
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
