/**
 * Instants are microseconds since 1970-01-01 UTC, as PostgreSQL keeps them, in a plain number: exact until 2255.
 * Days are numbers too: days since 1970-01-01.
 */
export const dayUs = 86_400_000_000
export const hourUs = 3_600_000_000

/** Days that ClickHouse's `Date` can hold: 1970-01-01 to 2149-06-06. */
export const lastDay = 65_535

/** `YYYY-MM-DD` */
export function dayText(day: number): string {
  return new Date(day * 86_400_000).toISOString().slice(0, 10)
}

export function parseDay(text: string): number {
  return Date.parse(`${text}T00:00:00Z`) / 86_400_000
}

/** The day that it is where days begin first, 14 hours ahead of UTC. */
export function lastBegunDay(now: Date): number {
  return Math.floor((now.getTime() * 1000 + 14 * hourUs) / dayUs)
}

/** ISO 8601 with microseconds; what no calendar has is named as PostgreSQL does. */
export function instantText(instantUs: number): string {
  const date = new Date(Math.floor(instantUs / 1000))
  if (Number.isNaN(date.getTime())) return instantUs > 0 ? 'infinity' : '-infinity'
  const microseconds = ((instantUs % 1000) + 1000) % 1000
  return date.toISOString().replace('Z', `${String(microseconds).padStart(3, '0')}Z`)
}
