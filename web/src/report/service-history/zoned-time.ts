/** A moment by a clock: `14 March 2026`, `09:30`. */
type ZonedTime = { day: string; time: string }

/**
 * The clock of a zone, and how the zone is called; UTC's where the browser knows none of this name.
 * @param timeZone an IANA name
 */
export function clockOf(timeZone: string): { zone: string; read: (at: string) => ZonedTime } {
  const zone = isKnown(timeZone) ? timeZone : 'UTC'
  const dayFormat = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeZone: zone })
  const timeFormat = new Intl.DateTimeFormat('en-GB', { timeStyle: 'short', timeZone: zone })
  return {
    zone: zone.replaceAll('_', ' '),
    read(at) {
      const timeMs = Date.parse(at)
      return { day: dayFormat.format(timeMs), time: timeFormat.format(timeMs) }
    },
  }
}

function isKnown(timeZone: string): boolean {
  try {
    return Boolean(new Intl.DateTimeFormat('en-GB', { timeZone }))
  } catch {
    return false
  }
}
