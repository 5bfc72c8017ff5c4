import { readConfig } from '@tendon/platform/config.ts'
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest'
import { type Story, startEtlWorld } from '../fixtures/etl-world.fixture.ts'
import { readingOptions } from '../options.ts'
import { explainDay } from './explain.ts'

const world = await startEtlWorld()
afterAll(() => world.stop())

const alice = '00000000-0000-4000-8000-00000000000a'
const bob = '00000000-0000-4000-8000-00000000000b'
const day = '2026-01-03'
let story: Story
let prosthesisId: string

beforeEach(async () => {
  story = await world.freshStory()
  await story.live(alice, 'Europe/Vienna')
  const issued = await story.issue({ chip_id: 'c1', customer_id: alice, issued_at: '2026-01-01' })
  prosthesisId = issued.id
  await story.send(
    ['2026-01-02T22:59:59Z', '2026-01-02T23:00:00Z', '2026-01-03T22:59:59Z', '2026-01-03T23:00:00Z'].map(
      (time) => ({ chip_id: 'c1', recorded_at: new Date(time) }),
    ),
  )
  await story.createEtl().runOnce()
})
afterEach(() => story.end())

const config = readConfig('etl', readingOptions, { env: {} })
const explain = (userId: string) => explainDay({ ...story.readingParts(), config }, { userId, day })
const ofThatDay = {
  chip_id: 'c1',
  time_zone: 'Europe/Vienna',
  computed: { events: 2 },
  rows: [
    { recorded_at: '2026-01-02T23:00:00.000000Z', use: 'counted' },
    { recorded_at: '2026-01-03T22:59:59.000000Z', use: 'counted' },
  ],
}

test('a number is explained by its rows', async () => {
  expect(await explain(alice)).toMatchObject([
    { ...ofThatDay, time_zone_from: 'crm', is_gone: false, taken_back_by_run: null, standing: { events: 2 } },
  ])
})

test('rows whose ids are beyond 2^53 are told apart', async () => {
  await story.client.query(`
    INSERT INTO telemetry_events (id, signal, chip_id, recorded_at) OVERRIDING SYSTEM VALUE VALUES
      (9007199254740993, 'status', 'c1', '2026-01-03 10:00Z'), (9007199254740992, 'status', 'c1', '2026-01-03 10:00Z')`)
  const [explained] = await explain(alice)
  expect(explained!.rows.slice(1, 3)).toMatchObject([
    { id: '9007199254740992', use: 'counted' },
    { id: '9007199254740993', use: 'duplicate' },
  ])
})

test('a number of whom the CRM has no longer is explained, before and after it was taken back', async () => {
  await story.remove(prosthesisId)
  expect(await explain(alice)).toMatchObject([
    { ...ofThatDay, is_gone: true, taken_back_by_run: null, standing: { events: 2 } },
  ])
  await story.createEtl().runOnce()
  expect(await explain(alice)).toMatchObject([
    { ...ofThatDay, is_gone: true, taken_back_by_run: 2, standing: null },
  ])
})

test('a number of somebody whose prosthesis is somebody else’s by now is explained for both', async () => {
  await story.change(prosthesisId, { customer_id: bob })
  await story.createEtl().runOnce()
  // Of each prosthesis the last owner alone is left then.
  await world.warehouse.command('OPTIMIZE TABLE reports.etl_ownership FINAL')
  expect(await explain(alice)).toMatchObject([
    { ...ofThatDay, time_zone_from: 'run', is_gone: true, taken_back_by_run: 2, standing: null },
  ])
  expect(await explain(bob)).toMatchObject([
    {
      time_zone: 'UTC',
      time_zone_from: 'default',
      is_gone: false,
      standing: { events: 2 },
      computed: { events: 2 },
    },
  ])
})

test('the day on which it came back is that of the next owner alone', async () => {
  await story.change(prosthesisId, { returned_at: day })
  await story.issue({ chip_id: 'c1', customer_id: bob, issued_at: day })
  await story.live(bob, 'Europe/Vienna')
  await story.createEtl().runOnce()
  expect(await explain(alice)).toMatchObject([{ is_gone: true, standing: null }])
  expect(await explain(bob)).toMatchObject([{ ...ofThatDay, is_gone: false, standing: { events: 2 } }])
})
