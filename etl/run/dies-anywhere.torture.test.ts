import { afterAll, expect, test } from 'vitest'
import { startEtlWorld } from '../fixtures/etl-world.fixture.ts'
import { mortal } from '../fixtures/mortal-warehouse.fixture.ts'

const world = await startEtlWorld()
afterAll(() => world.stop())

const users = [1, 2, 3].map((n) => `00000000-0000-4000-8000-00000000000${n}`)

test('a run may die before and after each thing that it asks of ClickHouse', async () => {
  const story = await world.freshStory()
  const prosthesis = await story.issue({ chip_id: 'c1', customer_id: users[0]!, issued_at: '2026-03-01' })
  await story.createEtl().runOnce()
  let deaths = 0
  for (let afterCalls = 0, isAlive = false; !isAlive; afterCalls += 1) {
    for (const isLastDone of [false, true]) {
      await story.change(prosthesis.id, {
        customer_id: users[(afterCalls + 1) % 3]!,
        firmware_version: `1.0.${afterCalls}`,
      })
      await story.send([
        { chip_id: 'c1', recorded_at: new Date(Date.parse('2026-03-02T00:00Z') + afterCalls * 60_000) },
        { chip_id: 'stray', recorded_at: new Date('2026-03-02T00:00Z') },
        { chip_id: null, recorded_at: new Date('2026-03-02T00:00Z') },
      ])
      const dying = story.createEtl({ warehouse: mortal(world.warehouse, { afterCalls, isLastDone }) })
      isAlive = await dying.runOnce().then(
        () => true,
        () => false,
      )
      if (isAlive) break
      deaths += 1
      await story.createEtl().runOnce()
      const where = `${afterCalls} calls, the last ${isLastDone ? 'done' : 'not done'}`
      expect(await story.stats(), where).toEqual(await story.expectedStats())
      expect(await story.quarantine(), where).toEqual(await story.expectedQuarantine())
      expect(await story.unowned(), where).toEqual(await story.expectedUnowned())
    }
  }
  expect(deaths).toBeGreaterThan(40)
  await story.end()
}, 240_000)
