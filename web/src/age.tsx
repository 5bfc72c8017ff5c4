import { useEffect, useState } from 'react'
import { ageText } from './age-text.ts'

const timeFormat = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' })

/** How long ago a time was, counting on; the time itself as tooltip. */
export function Age({ at }: { at: string }) {
  const [nowMs, setNowMs] = useState(Date.now)
  useEffect(() => {
    const timer = setInterval(() => setNowMs(Date.now()), 1_000)
    return () => clearInterval(timer)
  }, [])
  return (
    <time dateTime={at} title={timeFormat.format(Date.parse(at))}>
      {ageText(at, nowMs)}
    </time>
  )
}
