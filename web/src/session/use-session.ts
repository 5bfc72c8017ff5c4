import type { Problem } from '@tendon/contracts/problem.ts'
import type { SessionUser } from '@tendon/contracts/session-api.ts'
import { useEffect, useEffectEvent, useState } from 'react'
import { getSession, problemOf } from '../api.ts'
import { usePolling } from '../use-polling.ts'
import { hearOtherTabs, tellOtherTabs } from './other-tabs.ts'
import { clearSignedOut } from './signed-out-mark.ts'

type Session =
  | { state: 'loading' }
  | { state: 'signed-in'; user: SessionUser }
  /** `ended`: somebody was signed in on this page before. */
  | { state: 'signed-out'; ended: boolean }
  | { state: 'unavailable'; problem: Problem }

/** Other tabs tell of another person's login, and requests notice the end of one: this is for what neither does. */
const intervalMs = 60_000

/** Who is signed in. `end` is called when a request was answered with 401. */
export function useSession() {
  const [session, setSession] = useState<Session>({ state: 'loading' })
  const [attempt, setAttempt] = useState(0)
  const end = () => setSession((before) => ({ state: 'signed-out', ended: before.state === 'signed-in' }))
  const retry = () => setAttempt(attempt + 1)
  const shown = session.state === 'signed-in' ? session.user.username : null

  const onTold = useEffectEvent((username: string | null) => {
    if (username === null) end()
    else if (username !== shown) retry()
  })
  useEffect(() => hearOtherTabs((username) => onTold(username)), [])

  usePolling({
    subject: session.state === 'signed-out' ? null : `attempt ${attempt}`,
    intervalMs,
    task: async (signal, isBackground) => {
      const user = await getSession({ signal, isBackground })
      clearSignedOut()
      setSession({ state: 'signed-in', user })
      if (user.username !== shown) tellOtherTabs(user.username)
    },
    onError: (error) => {
      const problem = problemOf(error)
      if (problem.status === 401) end()
      else setSession((before) => (before.state === 'signed-in' ? before : { state: 'unavailable', problem }))
    },
  })
  return { session, end, retry }
}
