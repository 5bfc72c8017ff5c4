import { dayUs } from './instants.ts'

/** The days of one time zone. All days of all customers are cut by these, and by nothing else. */
export type TimeZone = {
  name: string
  /** First instant of a day: the first at which the wall clock shows its date, or a later one. */
  startOf(day: number): number
  /** The day that an instant is in. */
  dayOf(instantUs: number): number
}

/**
 * Makes zones by their IANA name, each once. Node's own zone data (ICU) is asked, and never the databases': a day
 * must be the same wherever it is cut.
 */
export function createTimeZones(): (name: string) => TimeZone | undefined {
  const zones = new Map<string, TimeZone | undefined>()
  return (name) => {
    if (!zones.has(name)) zones.set(name, openZone(name))
    return zones.get(name)
  }
}

function openZone(name: string): TimeZone | undefined {
  const found = name === 'UTC' ? () => 0 : createOffset(name)
  if (!found) return undefined
  const offsetUs: (instantUs: number) => number = found
  const starts = new Map<number, number>()
  const localDay = (instantUs: number) => Math.floor((instantUs + offsetUs(instantUs)) / dayUs)

  function startOf(day: number): number {
    let start = starts.get(day)
    if (start === undefined) {
      start = findStart(day)
      starts.set(day, start)
    }
    return start
  }

  /** Two guesses hit unless the clock is changed just then; the instant is searched for otherwise. */
  function findStart(day: number): number {
    const nominal = day * dayUs
    const before = offsetUs(nominal - dayUs)
    const guess = nominal - before
    if (offsetUs(guess) === before) return guess
    const after = offsetUs(guess)
    if (offsetUs(nominal - after) === after) return nominal - after
    // The clock was put forward over midnight: the day begins at that moment.
    let [low, high] = [nominal - after - dayUs / 4, guess + dayUs / 4]
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2)
      if (localDay(middle) >= day) high = middle
      else low = middle
    }
    return high
  }

  return {
    name,
    startOf,
    dayOf(instantUs) {
      let day = Math.floor(instantUs / dayUs)
      while (instantUs < startOf(day)) day -= 1
      while (instantUs >= startOf(day + 1)) day += 1
      return day
    },
  }
}

/** Of three letters, those that are in the IANA database; ICU has more (PST, JST), which ClickHouse and PostgreSQL do not know. */
const ianaAbbreviations = new Set('CET EET EST GMT HST MET MST PRC ROC ROK UCT UTC WET'.split(' '))

/** How far the zone's wall clock is ahead of UTC, in microseconds; undefined when there is no such zone. */
function createOffset(name: string): ((instantUs: number) => number) | undefined {
  if (/^[A-Z]{3}$/.test(name) && !ianaAbbreviations.has(name)) return undefined
  try {
    const format = new Intl.DateTimeFormat('en-US', { timeZone: name, timeZoneName: 'longOffset' })
    return (instantUs) => {
      const text = format.format(instantUs / 1000)
      const [, sign, hours, minutes, seconds] = /GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(text)!
      if (!sign) return 0
      const size = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds ?? 0)
      return (sign === '-' ? -size : size) * 1e6
    }
  } catch {
    return undefined
  }
}
