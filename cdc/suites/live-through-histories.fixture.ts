import fc from 'fast-check'
import { expect } from 'vitest'
import { nobody } from '../derive/known-tables.ts'
import { createModel, type History, randomHistory, statementsOf } from './random-history.fixture.ts'
import type { CreateWorld } from './replica-of-source.fixture.ts'

const operationsPerHistory = 2000
/** The feed looks at the catalog that often, where nothing in the stream tells of a change. */
const catalogIntervalMs = 10_000

/**
 * Lives through histories until they have had that many operations, and holds the replicas against the source after
 * each. A failure prints what repeats it: the seed and the path to the history, as CDC_TEST_SEED and CDC_TEST_PATH.
 */
export async function liveThroughHistories(createWorld: CreateWorld, operations: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(randomHistory(operationsPerHistory), (history) => liveThrough(createWorld, history)),
    { numRuns: Math.ceil(operations / operationsPerHistory), endOnFailure: true, ...chosen },
  )
}

const { CDC_TEST_SEED: seed = '1', CDC_TEST_PATH: path } = process.env
/** The same histories each time, so that a commit is not refused for what another one has done; others by their seed. */
const chosen = { seed: Number(seed), ...(path && { path }) }

async function liveThrough(createWorld: CreateWorld, history: History): Promise<void> {
  const model = createModel(history)
  const entries = model.names.map((name) => ({ name, users: nobody }))
  const world = await createWorld(model.ddl, entries)
  try {
    const feed = world.newFeed()
    feed.start()
    await feed.caughtUp()
    for (const transaction of history.transactions) {
      for (const statement of statementsOf(model, transaction)) await world.sql.query(statement)
    }
    await expect
      .poll(() => world.differences(feed), { timeout: 15 * catalogIntervalMs, interval: 100 })
      .toEqual([])
    expect(await world.rows('SELECT table, reason FROM cdc.dead_letters FINAL')).toEqual([])
  } finally {
    await world.close()
  }
}
