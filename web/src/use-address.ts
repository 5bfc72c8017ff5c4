import { useMemo, useSyncExternalStore } from 'react'
import { isDay } from './report/day.ts'

/** What the page's address says to show: `/?date=2026-11-21`, and for staff `&user_id=…`. */
export type Address = { date: string | null; userId: string | null }

/** The address as state: it follows back and forward, and `navigate` adds a step to them. */
export function useAddress(): [Address, (next: Address) => void] {
  const search = useSyncExternalStore(onAddressChange, () => location.search)
  return [useMemo(() => readAddress(search), [search]), navigate]
}

function readAddress(search: string): Address {
  const query = new URLSearchParams(search)
  const date = query.get('date')
  return { date: date && isDay(date) ? date : null, userId: query.get('user_id') }
}

function navigate({ date, userId }: Address): void {
  const query = new URLSearchParams({ ...(userId && { user_id: userId }), ...(date && { date }) }).toString()
  history.pushState(null, '', query ? `/?${query}` : '/')
  // pushState tells nobody; the browser sends this event itself on back and forward.
  dispatchEvent(new PopStateEvent('popstate'))
}

function onAddressChange(listener: () => void): () => void {
  addEventListener('popstate', listener)
  return () => removeEventListener('popstate', listener)
}
