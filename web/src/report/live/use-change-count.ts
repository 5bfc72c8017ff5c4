import { useState } from 'react'

/** How often a value has changed since it was first shown: as a `key` it restarts an animation. */
export function useChangeCount(value: string): number {
  const [seen, setSeen] = useState({ value, count: 0 })
  if (seen.value === value) return seen.count
  const next = { value, count: seen.count + 1 }
  setSeen(next)
  return next.count
}
