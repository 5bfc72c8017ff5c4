import { useMemo, useSyncExternalStore } from 'react'
import { isDay } from './report/day.ts'

export const views = ['day', 'trend', 'history', 'fleet'] as const
export type View = (typeof views)[number]

/** What the page's address says to show: `/?view=trend&date=2026-11-21`, and for staff `&user_id=…`. */
export type Address = {
  /** Null where the address says none: what is shown first depends on who is signed in. */
  view: View | null
  date: string | null
  userId: string | null
}

/** The address as state: it follows back and forward, and `navigate` adds a step to them. */
export function useAddress(): [Address, (next: Address) => void] {
  const search = useSyncExternalStore(onAddressChange, () => location.search)
  return [useMemo(() => readAddress(search), [search]), navigate]
}

/** The address as a link leads to it. */
export function hrefOf({ view, date, userId }: Address): string {
  const query = new URLSearchParams({
    ...(view && { view }),
    ...(userId && { user_id: userId }),
    ...(date && { date }),
  }).toString()
  return query ? `/?${query}` : '/'
}

function readAddress(search: string): Address {
  const query = new URLSearchParams(search)
  const date = query.get('date')
  const view = views.find((known) => known === query.get('view')) ?? null
  return { view, date: date && isDay(date) ? date : null, userId: query.get('user_id') }
}

function navigate(next: Address): void {
  history.pushState(null, '', hrefOf(next))
  // pushState tells nobody; the browser sends this event itself on back and forward.
  dispatchEvent(new PopStateEvent('popstate'))
}

function onAddressChange(listener: () => void): () => void {
  addEventListener('popstate', listener)
  return () => removeEventListener('popstate', listener)
}
