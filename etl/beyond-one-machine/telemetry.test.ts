import { readFile } from 'node:fs/promises'
import { defineQuery } from '@tendon/warehouse/query.ts'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { z } from 'zod'
import { startEtlWorld } from '../fixtures/etl-world.fixture.ts'
import { metricNumbers } from '../fixtures/statistics-model.fixture.ts'

const world = await startEtlWorld()
afterAll(() => world.stop())

const read = (name: string) => readFile(new URL(name, import.meta.url), 'utf8')
const chipDays = defineQuery({
  name: 'test-chip-days',
  sql: await read('chip-days.sql'),
  params: z.object({ zone: z.string() }),
  row: z.object({
    chip_id: z.string(),
    day: z.string(),
    ...metricNumbers,
  }),
})

const customer = '00000000-0000-4000-8000-00000000000a'
const rows = fc.sample(
  fc.record({
    chip_id: fc.constantFrom('c1', 'c2', 'c3'),
    recorded_at: fc.nat({ max: 5 * 96 }).map((n) => new Date(Date.parse('2026-03-27T00:00Z') + n * 900_000)),
    signal: fc.constantFrom('movement', 'status'),
    response_time_ms: fc.option(fc.float({ min: -1, max: 60_100, noNaN: true })),
    battery_percent: fc.option(fc.integer({ min: -2, max: 102 })),
    error_code: fc.option(fc.constantFrom('E1', 'E2')),
    movement_count: fc.option(fc.integer({ min: -1, max: 100_010 })),
    active_ms: fc.option(fc.integer({ min: -10, max: 100_000 })),
  }),
  600,
)

test('telemetry that lies in ClickHouse comes to the same numbers as telemetry in PostgreSQL', async () => {
  const story = await world.freshStory()
  await story.live(customer, 'Europe/Vienna')
  for (const chip_id of ['c1', 'c2', 'c3']) {
    await story.issue({ chip_id, customer_id: customer, issued_at: '2020-01-01' })
  }
  await story.send(rows)
  await story.createEtl().runOnce()

  for (const statement of (await read('telemetry.sql')).split(/;$/m)) {
    if (statement.trim()) await world.warehouse.command(statement)
  }
  const { rows: stored } = await story.client.query('SELECT * FROM telemetry_events')
  for (let start = 0; start < stored.length; start += 100) {
    await world.warehouse.insertRows('telemetry.incoming', stored.slice(start, start + 100))
  }
  const found = await world.warehouse.query(chipDays, { zone: 'Europe/Vienna' })
  const numbersOf = ({ chip_id, day, ...row }: Record<string, unknown>) => [
    chip_id,
    day,
    ...Object.keys(chipDays.row.shape)
      .slice(2)
      .map((name) => row[name]),
  ]
  const standing = [...(await story.stats()).values()].map(numbersOf).sort()
  expect(found.map(numbersOf).sort()).toEqual(standing)
  expect(standing.length).toBeGreaterThan(12)
  await story.end()
}, 120_000)
