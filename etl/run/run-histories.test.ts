import fc from 'fast-check'
import type pg from 'pg'
import { afterAll, expect, test } from 'vitest'
import type { Etl } from '../etl.ts'
import { type Story, startEtlWorld } from '../fixtures/etl-world.fixture.ts'
import { mortal } from '../fixtures/mortal-warehouse.fixture.ts'
import {
  dayAfter,
  differingUsers,
  modelDay,
  type TelemetryRow,
} from '../fixtures/statistics-model.fixture.ts'
import type { BatchSizes } from './batch-sizes.ts'

const world = await startEtlWorld()
afterAll(() => world.stop())

const firstDay = '2026-03-01'
const days = 6
const users = [1, 2, 3].map((n) => `00000000-0000-4000-8000-00000000000${n}`)

/** A story as it is told. */
type Telling = {
  story: Story
  sizes: BatchSizes
  open: pg.Client[]
  /** Users whose numbers changed and who are not invalidated yet. */
  owed: Set<string>
  /** What a run asked of ClickHouse, of the one that asked most. */
  mostCalls: number
  today: string
}
type Chapter = (telling: Telling) => Promise<void>

const chips = ['c1', 'c2', 'c3']
const chip = fc.constantFrom(...chips)
const day = fc.nat({ max: days - 1 }).map((n) => dayAfter(firstDay, n))
const pick = fc.nat({ max: 99 })
/** A sensible value, and now and then one that makes no sense. */
const mostly = (sensible: fc.Arbitrary<number>, ...wrong: number[]) =>
  fc.oneof({ weight: 25, arbitrary: sensible }, { weight: 1, arbitrary: fc.constantFrom(...wrong) })
const orNull = <Value>(values: fc.Arbitrary<Value>) => fc.option(values, { freq: 3 })

/** Half of them at one of a few moments, so that messages come twice, and days are begun and ended to the millisecond. */
const timeOfDayMs = fc.oneof(
  fc.nat({ max: 86_399_999 }),
  fc.constantFrom(0, 8_100_000, 43_200_000, 86_399_999),
)

const telemetryRow: fc.Arbitrary<TelemetryRow> = fc.record({
  chip_id: fc.oneof(
    { weight: 20, arbitrary: chip },
    { weight: 1, arbitrary: fc.constantFrom('stray', '', null) },
  ),
  // Many on the days from which firmware counts.
  recorded_at: fc
    .tuple(
      fc.oneof(day, fc.constantFrom('2026-03-05', '2026-03-06')),
      timeOfDayMs,
      fc.constantFrom(...Array(30).fill(0), 400 * 366 * 86_400_000),
    )
    .map(([date, ms, wrongMs]) => new Date(Date.parse(date) + ms - wrongMs)),
  signal: fc.constantFrom('movement', 'status'),
  // Half of what a device says long before it was stored, or after: the first is a late message, the other a wrong clock.
  ingested_at: fc.constantFrom(...Array(30).fill(new Date('2026-04-01')), new Date('2026-03-02')),
  response_time_ms: orNull(mostly(fc.float({ min: 0, max: 5000, noNaN: true }), -1, 1e6, Number.NaN)),
  battery_percent: orNull(mostly(fc.nat({ max: 100 }), -1, 101)),
  error_code: orNull(fc.constantFrom('E1', 'E2')),
  movement_count: orNull(mostly(fc.nat({ max: 1000 }), -5, 8191, 8192, 2_000_000_000)),
  active_ms: orNull(mostly(fc.nat({ max: 100_000 }), -1, 16_777_215, 16_777_216, 86_400_001)),
})
const telemetryRows = fc.array(telemetryRow, { minLength: 1, maxLength: 30 })

const telemetryChapter: fc.Arbitrary<Chapter> = fc.oneof(
  telemetryRows.map(
    (rows): Chapter =>
      (telling) =>
        telling.story.send(rows),
  ),
  telemetryRows.map(
    (rows): Chapter =>
      async ({ story, open }) => {
        const client = await story.connect()
        open.push(client)
        await client.query('BEGIN')
        await story.send(rows, client)
      },
  ),
  fc.tuple(pick, fc.constantFrom('COMMIT', 'ROLLBACK')).map(
    ([n, end]): Chapter =>
      async ({ open }) => {
        const [client] = open.splice(n % Math.max(1, open.length), 1)
        await client?.query(end)
        await client?.end()
      },
  ),
)

/** Rows that are changed, moved to another time or chip, or deleted, some of them by hand in their partition. */
const correction: fc.Arbitrary<Chapter> = fc
  .tuple(
    fc.constantFrom(
      "UPDATE telemetry_events SET error_code = 'E9' WHERE id % 7 = $1 % 7",
      "UPDATE telemetry_events SET recorded_at = recorded_at + interval '13 hours' WHERE id % 11 = $1 % 11 AND recorded_at < '2026-03-06Z'",
      "UPDATE telemetry_events SET chip_id = 'c2' WHERE id % 13 = $1 % 13",
      'DELETE FROM telemetry_events WHERE id % 7 = $1 % 7',
      "DELETE FROM telemetry_events WHERE chip_id = 'c' || $1 % 3",
      'UPDATE telemetry_events SET chip_id = NULL WHERE id % 29 = $1 % 29',
      "UPDATE telemetry_events SET chip_id = 'c1' WHERE (chip_id IS NULL OR chip_id = '') AND id % 2 = $1 % 2",
      "UPDATE telemetry_events SET recorded_at = 'infinity' WHERE id % 23 = $1 % 23",
      'DELETE FROM telemetry_events_default WHERE id % 3 = $1 % 3',
    ),
    pick,
  )
  .map(
    ([statement, n]): Chapter =>
      async ({ story }) => {
        await story.client.query(statement, [n])
      },
  )

const partition: fc.Arbitrary<Chapter> = day.map(
  (date): Chapter =>
    async ({ story, open }) => {
      // It waits for every open transaction that has written, and those are ours.
      if (open.length === 0) await story.client.query('SELECT ensure_telemetry_partitions($1, $1)', [date])
    },
)

const move: fc.Arbitrary<Chapter> = fc
  .tuple(
    fc.constantFrom(...users),
    fc.constantFrom('UTC', 'Asia/Tokyo', 'America/Los_Angeles', 'Pacific/Kiritimati', 'Europe/Nowhere'),
  )
  .map(
    ([user, zone]): Chapter =>
      ({ story }) =>
        story.live(user, zone),
  )

/** What a change may make of a prosthesis; the CRM itself forbids none of these. */
const ownershipChange = fc.oneof(
  fc.record({ chip_id: chip }),
  fc.record({ customer_id: fc.constantFrom(...users) }),
  fc.record({ model_id: fc.constantFrom(1, 2) }),
  fc.record({ issued_at: day }),
  fc.record({ returned_at: fc.option(day) }),
)

const issue = fc.tuple(chip, fc.constantFrom(...users), day).map(
  ([chip_id, customer_id, issued_at]): Chapter =>
    async ({ story }) => {
      await story.issue({ chip_id, customer_id, issued_at })
    },
)
const change = fc.tuple(pick, ownershipChange).map(
  ([n, changes]): Chapter =>
    async ({ story }) => {
      const id = [...story.prostheses.keys()][n % Math.max(1, story.prostheses.size)]
      if (id) await story.change(id, changes)
    },
)
const update = fc.tuple(pick, fc.constantFrom('1.0.0', '1.0.1', '1.0.2')).map(
  ([n, firmware_version]): Chapter =>
    async ({ story }) => {
      const id = [...story.prostheses.keys()][n % Math.max(1, story.prostheses.size)]
      if (id) await story.change(id, { firmware_version })
    },
)
const remove = pick.map(
  (n): Chapter =>
    async ({ story }) => {
      const id = [...story.prostheses.keys()][n % Math.max(1, story.prostheses.size)]
      if (id) await story.remove(id)
    },
)
const crmChapter: fc.Arbitrary<Chapter> = fc.oneof(
  { weight: 2, arbitrary: issue },
  { weight: 4, arbitrary: change },
  { weight: 1, arbitrary: remove },
  { weight: 1, arbitrary: move },
  { weight: 4, arbitrary: update },
)

/** What is called noon here is nine o'clock in UTC: it is the same day then from Los Angeles to Kiritimati. */
const noon = (date: string) => new Date(`${date}T09:00:00Z`)
/** So that all that is told lies in days that are measured. */
const firstToday = '2026-03-05'

/** Firmware counts from the day on which a run sees it. */
const dayPasses: Chapter = async (telling) => {
  telling.today = dayAfter(telling.today, 1)
  await telling.story.stopClock(noon(telling.today))
}

/** Each is now little and now more than there is, so that a run comes in one piece or in many, or measures everything. */
const batchSizes: fc.Arbitrary<BatchSizes> = fc.record({
  rowsOfSlice: fc.constantFrom(1, 1_000),
  rowsOfBatch: fc.constantFrom(1, 5, 1_000),
  windowsOfPart: fc.constantFrom(1, 4, 1_000),
  rowsOfInsert: fc.constantFrom(2, 1_000),
  mostWindows: fc.constantFrom(6, 1_000),
})

/** A job, of which is known afterwards what it asked of ClickHouse. */
function createEtl(telling: Telling, parts: Parameters<Story['createEtl']>[0] = {}): Etl {
  const warehouse = mortal(world.warehouse, { afterCalls: Number.POSITIVE_INFINITY, isLastDone: true })
  const etl = telling.story.createEtl({ warehouse, sizes: telling.sizes, ...parts })
  const counting = async <Result>(work: Promise<Result>): Promise<Result> => {
    const result = await work
    telling.mostCalls = Math.max(telling.mostCalls, warehouse.calls())
    return result
  }
  return { ...etl, runOnce: (options) => counting(etl.runOnce(options)) }
}

/** Tells a chapter of runs, and returns whose numbers it changed. Afterwards all numbers must be right. */
async function changedUsers({ story, today }: Telling, runs: () => Promise<unknown>): Promise<string[]> {
  story.invalidated.length = 0
  const before = await story.stats()
  await runs()
  story.noteFirmware(today)
  const after = await story.stats()
  expect(after).toEqual(await story.expectedStats())
  expect(await story.quarantine()).toEqual(await story.expectedQuarantine())
  expect(await story.unowned()).toEqual(await story.expectedUnowned())
  expect(await story.modelDays()).toEqual([...after.values()].map(modelDay).sort())
  return differingUsers(before, after)
}

/** Those are invalidated whose numbers changed, and nobody else. */
const undisturbedRun: Chapter = async (telling) => {
  const changed = await changedUsers(telling, () => createEtl(telling).runOnce())
  expect(new Set(telling.story.invalidated)).toEqual(new Set([...changed, ...telling.owed]))
  telling.owed.clear()
}

const unheardRun: Chapter = async (telling) => {
  const etl = createEtl(telling, {
    invalidate: () => Promise.reject(new Error('reports-service is away')),
  })
  for (const user of await changedUsers(telling, () => etl.runOnce())) telling.owed.add(user)
}

/** When in a run, of all that it asks of ClickHouse, and whether before or after that has done what it was asked. */
const death = fc.record({ share: fc.double({ min: 0, max: 1, noNaN: true }), isLastDone: fc.boolean() })

function createDyingEtl(
  telling: Telling,
  { share, isLastDone }: { share: number; isLastDone: boolean },
): Etl {
  const afterCalls = Math.floor(share * telling.mostCalls)
  return createEtl(telling, { warehouse: mortal(world.warehouse, { afterCalls, isLastDone }) })
}

/** What somebody changes in the CRM, or changes back, before the next run. */
const between = fc.option(crmChapter, { nil: undefined })

/** A run that dies, and one that takes up what it left. */
const dyingRun: fc.Arbitrary<Chapter> = fc.tuple(death, between).map(
  ([how, meanwhile]): Chapter =>
    async (telling) => {
      const { story, owed } = telling
      const changed = await changedUsers(telling, async () => {
        await createDyingEtl(telling, how)
          .runOnce()
          .catch(() => {})
        await meanwhile?.(telling)
        await createEtl(telling).runOnce()
      })
      expect(story.invalidated).toEqual(expect.arrayContaining([...changed, ...owed]))
      owed.clear()
    },
)

/** Some days of everybody or of some chips are measured again, perhaps not to the end; a run does the rest. */
const backfill: fc.Arbitrary<Chapter> = fc
  .record({
    days: fc.tuple(day, day),
    chipIds: fc.option(fc.subarray(chips, { minLength: 1 }), { nil: undefined }),
    how: fc.option(death, { nil: undefined }),
    meanwhile: between,
  })
  .map(
    ({ days, chipIds, how, meanwhile }): Chapter =>
      async (telling) => {
        const { story, owed } = telling
        const [from, to] = days.toSorted() as [string, string]
        const changed = await changedUsers(telling, async () => {
          if (how) {
            const dying = createDyingEtl(telling, how)
            await dying.backfill({ from, to, chipIds }).catch(() => {})
          } else await createEtl(telling).backfill({ from, to, chipIds })
          await meanwhile?.(telling)
          await createEtl(telling).runOnce()
        })
        if (how || meanwhile) expect(story.invalidated).toEqual(expect.arrayContaining([...changed, ...owed]))
        else expect(new Set(story.invalidated)).toEqual(new Set([...changed, ...owed]))
        owed.clear()
      },
  )

const chapters = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: telemetryChapter },
    { weight: 4, arbitrary: crmChapter },
    { weight: 2, arbitrary: correction },
    { weight: 1, arbitrary: partition },
    { weight: 2, arbitrary: fc.constant(undisturbedRun) },
    { weight: 2, arbitrary: dyingRun },
    { weight: 2, arbitrary: backfill },
    { weight: 1, arbitrary: fc.constant(unheardRun) },
    { weight: 1, arbitrary: fc.constant(dayPasses) },
  ),
  { minLength: 22, maxLength: 22 },
)

test('after any history the statistics are what the rows say, and no change goes unheard', async () => {
  await fc.assert(
    fc.asyncProperty(batchSizes, chapters, async (sizes, history) => {
      const story = await world.freshStory()
      const telling: Telling = { story, sizes, open: [], owed: new Set(), mostCalls: 40, today: firstToday }
      try {
        await story.stopClock(noon(firstToday))
        for (const [i, chip_id] of chips.entries()) {
          await story.issue({ chip_id, customer_id: users[i]!, issued_at: firstDay })
        }
        for (const chapter of history) await chapter(telling)
        for (const client of telling.open) await client.query('COMMIT')
        await undisturbedRun(telling)
        const nothing = { rows_written: 0, rows_deleted: 0, users_invalidated: 0 }
        expect(await createEtl(telling).runOnce()).toMatchObject(nothing)
      } finally {
        for (const client of telling.open) await client.end()
        await story.end()
      }
    }),
    { numRuns: 5, endOnFailure: true },
  )
}, 300_000)
