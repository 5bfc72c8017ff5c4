const relativeTime = new Intl.RelativeTimeFormat('en')

const steps = [
  { unit: 'second', lengthMs: 1_000, belowMs: 60_000 },
  { unit: 'minute', lengthMs: 60_000, belowMs: 3_600_000 },
  { unit: 'hour', lengthMs: 3_600_000, belowMs: 2 * 86_400_000 },
  { unit: 'day', lengthMs: 86_400_000, belowMs: Number.POSITIVE_INFINITY },
] as const

/**
 * How long ago something was: `12 seconds ago`. A time ahead of this clock, by a clock that runs differently,
 * is `just now`.
 * @param at ISO 8601
 */
export function ageText(at: string, nowMs: number): string {
  const ageMs = nowMs - Date.parse(at)
  if (ageMs < 1_000) return 'just now'
  const step = steps.find(({ belowMs }) => ageMs < belowMs)!
  return relativeTime.format(-Math.floor(ageMs / step.lengthMs), step.unit)
}
