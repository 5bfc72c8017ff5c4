import type { Warehouse } from '@tendon/warehouse/client.ts'
import { afterAll, expect, test } from 'vitest'
import type { Etl } from '../etl.ts'
import { startEtlWorld } from '../fixtures/etl-world.fixture.ts'

const world = await startEtlWorld()
afterAll(() => world.stop())

const begin: [string, (etl: Etl) => Promise<unknown>][] = [
  ['a run', (etl) => etl.runOnce()],
  ['a backfill', (etl) => etl.backfill({ from: '2026-01-02', to: '2026-01-02' })],
  ['a backfill of a chip', (etl) => etl.backfill({ from: '2026-01-02', to: '2026-01-02', chipIds: ['c1'] })],
]

test.each(begin)(
  'whenever it is stopped, %s leaves nothing that fails with nobody to tell',
  async (_, work) => {
    const story = await world.freshStory()
    const unheard: unknown[] = []
    const hear = (reason: unknown) => void unheard.push(reason)
    process.on('unhandledRejection', hear)
    let isDone = false
    for (let stopAt = 1; !isDone; stopAt++) {
      let calls = 0
      const count = () => {
        calls += 1
        if (calls === stopAt) void etl.stop()
      }
      const warehouse: Warehouse = {
        ...world.warehouse,
        query(query, params) {
          count()
          return world.warehouse.query(query, params)
        },
        insertRows(table, rows) {
          count()
          return world.warehouse.insertRows(table, rows)
        },
      }
      const etl = story.createEtl({ warehouse })
      isDone = await work(etl).then(
        () => true,
        () => false,
      )
      await new Promise(setImmediate)
    }
    process.off('unhandledRejection', hear)
    expect(unheard).toEqual([])
    await story.end()
  },
)
