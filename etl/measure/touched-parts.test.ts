import fc from 'fast-check'
import { expect, test } from 'vitest'
import { indexOwnership, type Ownership } from '../crm/ownership.ts'
import { dayUs } from '../time/instants.ts'
import { createTimeZones } from '../time/time-zones.ts'
import { cutIntoParts, touchedDays } from './touched-parts.ts'

const zoneOf = createTimeZones()
const utc = zoneOf('UTC')!
const noChanges = {
  ...{ changed: [], gone: [] },
  ...{ prosthesisIds: new Set<string>(), chipIds: new Set<string>(), userIds: new Set<string>() },
}
const [fromDay, toDay] = [20_000, 20_060]

const owner = fc.record({
  issuedDay: fc.integer({ min: fromDay, max: toDay }),
  heldDays: fc.option(fc.integer({ min: 1, max: 20 })),
  timeZone: fc.constantFrom('UTC', 'Pacific/Kiritimati', 'America/Havana', 'Asia/Kathmandu'),
})

const touchedStretch = fc
  .tuple(fc.integer({ min: fromDay, max: toDay }), fc.integer({ min: 1, max: 40 }))
  .map(([first, days]) => ({ fromUs: first * dayUs, toUs: (first + days) * dayUs - 1 }))

test('each touched day is read whole and once, and no stretch is longer than a week and the days that overlap', () => {
  fc.assert(
    fc.property(
      fc.array(owner, { maxLength: 4 }),
      fc.array(touchedStretch, { minLength: 1, maxLength: 4 }),
      (owners, stretches) => {
        const ownership = indexOwnership(owners.map(ownershipOf), zoneOf, utc)
        const times = {
          chipId: stretches.map(() => 'chip'),
          fromUs: stretches.map(({ fromUs }) => fromUs),
          toUs: stretches.map(({ toUs }) => toUs),
        }
        const touched = touchedDays(times, ownership, { fromDay, toDay })
        const parts = [...cutIntoParts(touched, noChanges, [], { fromDay, toDay }, 1_000)]
        const windows = parts.flatMap(({ windows: { fromUs, toUs } }) =>
          fromUs.map((from, i) => ({ fromUs: from, toUs: toUs[i]! })),
        )
        for (const { zone, days } of touched.daysOfChip.get('chip')!.values()) {
          for (const day of days) {
            const [from, to] = [zone.startOf(day), zone.startOf(day + 1)]
            const touching = windows.filter((window) => window.fromUs < to && window.toUs > from)
            expect(touching).toHaveLength(1)
            expect(touching[0]!.fromUs).toBeLessThanOrEqual(from)
            expect(touching[0]!.toUs).toBeGreaterThanOrEqual(to)
          }
        }
        for (const { fromUs, toUs } of windows) expect(toUs - fromUs).toBeLessThanOrEqual(longestUs(owners))
      },
    ),
    { numRuns: 500 },
  )
})

/** Where all live in one zone no days overlap; each owner besides may join two weeks by a day of theirs. */
function longestUs(owners: readonly unknown[]): number {
  return 7 * dayUs * (1 + owners.length)
}

function ownershipOf(
  { issuedDay, heldDays, timeZone }: { issuedDay: number; heldDays: number | null; timeZone: string },
  i: number,
): Ownership {
  const returnedDay = heldDays === null ? null : issuedDay + heldDays
  return {
    ...{ prosthesisId: `prosthesis ${i}`, userId: `user ${i}`, chipId: 'chip', modelId: 1 },
    ...{ issuedDay, returnedDay, timeZone },
  }
}
