import { useEffect, useRef } from 'react'
import { type DayBounds, longDay, neighbours } from './day.ts'

type DatePickerProps = { date: string; bounds: DayBounds; onDate: (date: string) => void }

export function DatePicker({ date, bounds, onDate }: DatePickerProps) {
  const input = useRef<HTMLInputElement>(null)
  const { previous, next } = neighbours(date, bounds)

  /** A day without data is shown as such: the page says which days have some. An emptied box has the day back that is shown. */
  function leave(box: HTMLInputElement) {
    if (!box.value) box.value = date
    else if (box.value !== date) onDate(box.value)
  }

  // Left to the browser while somebody types: a controlled date input loses half-typed dates.
  useEffect(() => {
    if (input.current && input.current.value !== date) input.current.value = date
  }, [date])

  return (
    <div className="date-picker">
      <DayButton label="Previous day" day={previous} onDate={onDate} path="M10 3 5 8l5 5" />
      <label className="visually-hidden" htmlFor="report-date">
        Day of the report
      </label>
      <input
        ref={input}
        id="report-date"
        type="date"
        defaultValue={date}
        min={bounds.from ?? undefined}
        max={bounds.to ?? undefined}
        required
        onChange={({ target }) => {
          if (target.validity.valid && target.value !== date) onDate(target.value)
        }}
        onBlur={({ target }) => leave(target)}
        onKeyDown={({ key, currentTarget }) => {
          if (key === 'Enter') leave(currentTarget)
        }}
      />
      <DayButton label="Next day" day={next} onDate={onDate} path="m6 3 5 5-5 5" />
    </div>
  )
}

type DayButtonProps = { label: string; day: string | null; onDate: (date: string) => void; path: string }

function DayButton({ label, day, onDate, path }: DayButtonProps) {
  return (
    <button
      type="button"
      className="button quiet icon"
      aria-label={label}
      title={day ? longDay(day) : undefined}
      disabled={!day}
      onClick={() => day && onDate(day)}
    >
      <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
        <path d={path} fill="none" stroke="currentColor" strokeWidth="1.75" />
      </svg>
    </button>
  )
}
