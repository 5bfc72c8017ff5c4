import fc from 'fast-check'
import { expect, test } from 'vitest'
import { linkExpiryS } from './report-links.ts'

test('a link lives for five to ten minutes, and ends with all others of its five minutes', () => {
  const moment = fc.integer({ min: 0, max: 4_000_000_000_000 })
  fc.assert(
    fc.property(moment, (nowMs) => {
      const expiryS = linkExpiryS(nowMs)
      expect(expiryS % 300).toBe(0)
      expect(expiryS - nowMs / 1000).toBeGreaterThanOrEqual(300)
      expect(expiryS - nowMs / 1000).toBeLessThan(600)
    }),
  )
})
