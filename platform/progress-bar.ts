const width = 24

/** How far something is that counts what it does; the time that is left is not known at its beginning. */
export type Progress = {
  done: number
  total: number
  /** What is counted, as in `days`. */
  unit: string
  /** As in `1,200 rows/s`. */
  rate: string
  secondsLeft: number | undefined
}

/** `████████████░░░░░░░░░░░░  50 % 7/14 days, 1,200 rows/s, 12 s left` */
export function progressLine({ done, total, unit, rate, secondsLeft }: Progress): string {
  const left = secondsLeft === undefined ? '' : `, ${rate}, ${Math.ceil(secondsLeft)} s left`
  return `${progressBar(total === 0 ? 1 : done / total)} ${done}/${total} ${unit}${left}`
}

/** How far something is, for a line of a terminal: `████████░░░░░░░░░░░░░░░░  33 %`. */
export function progressBar(part: number): string {
  const bounded = Math.min(1, Math.max(0, part))
  const done = Math.round(bounded * width)
  return `${'█'.repeat(done)}${'░'.repeat(width - done)} ${String(Math.floor(bounded * 100)).padStart(3)} %`
}
