import { longDay } from '../day.ts'
import { measures } from '../measures.ts'
import { ProsthesisHead } from '../prosthesis-head.tsx'
import type { DailyProsthesis } from './daily-view.ts'
import { History } from './history.tsx'
import { MeasureRow } from './measure-row.tsx'

type ProsthesisCardProps = {
  prosthesis: DailyProsthesis
  date: string
  units: Record<string, string>
  isOver: boolean
}

export function ProsthesisCard({ prosthesis, date, units, isOver }: ProsthesisCardProps) {
  const { prosthesis_id: id, day, last_30_days: history } = prosthesis
  return (
    <article className="card" aria-labelledby={`model-${id}`} data-testid="prosthesis">
      <ProsthesisHead prosthesis={prosthesis} />
      <div className="card-body">
        {day ? (
          <dl className="measures">
            {measures.map((measure) => (
              <MeasureRow
                key={measure.field}
                measure={measure}
                unit={units[measure.field]}
                day={day}
                history={history}
                isOver={isOver}
              />
            ))}
          </dl>
        ) : (
          <p className="no-day">This prosthesis sent nothing on {longDay(date)}.</p>
        )}
        {history.length > 0 && <History id={id} date={date} days={history} units={units} isOver={isOver} />}
      </div>
    </article>
  )
}
