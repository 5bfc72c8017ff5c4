import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startChdbServer } from '@tendon/chdb-server/start-chdb-server.ts'
import { createWarehouse } from '@tendon/warehouse/client.ts'
import { applyMigrations } from '@tendon/warehouse/migrate.ts'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { deriveReplica, replicaTableName } from '../derive/derive-table.ts'
import { createKafkaWorld } from '../kafka/kafka-world.fixture.ts'
import { readSourceTables } from '../source/source-catalog.ts'
import { createCdcFeed } from '../wal/cdc-feed.ts'
import { randomEntries, randomTables, randomTransaction, runTransaction } from './random-changes.fixture.ts'
import { newSlotName, type World, worldOver } from './replica-of-source.fixture.ts'

/** Another feed over the same database, read from the WAL in process, into a ClickHouse of its own. */
async function createTwin(world: World): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'tendon-twin-'))
  const clickHouse = await startChdbServer({ dataPath: folder })
  const warehouse = createWarehouse(clickHouse)
  await applyMigrations(warehouse)
  return worldOver({
    url: world.url,
    slotName: newSlotName(),
    warehouse,
    ddl: 'SELECT 1',
    entries: randomEntries,
    makeFeed: createCdcFeed,
    async close() {
      await clickHouse.stop()
      await rm(folder, { recursive: true, force: true })
    },
  })
}

/** Members of a row that tell of the change and not of the row. */
const isMetadata = (name: string) => name.startsWith('__')

/**
 * Where a row gets another key, what it keeps out of line is taken from the source as that is by then, so that its next values may
 * stand in the log early: what both feeds end with is the same.
 */
const outOfLine: Record<string, string[]> = { 'public.notes': ['body', 'parts'] }

/**
 * What the log says of each key, in commit order. Rows that a snapshot read are each feed's own affair, and so is which rows
 * a TRUNCATE still found.
 */
async function storyOf(world: World): Promise<Map<string, unknown[]>> {
  const events = await world.rows(
    `SELECT table, key, op, deleted, lsn, tx_id, row FROM cdc.events FINAL
     WHERE op != 'r' AND lsn > 0
       AND NOT (op = 'd' AND (table, lsn) IN (SELECT table, lsn FROM cdc.events WHERE op = 't'))
     ORDER BY table, key, version`,
  )
  const story = new Map<string, unknown[]>()
  for (const { table, key, row, ...change } of events) {
    const members: Record<string, unknown> = JSON.parse(String(row))
    const values = Object.entries(members).filter(
      ([name]) => !isMetadata(name) && !outOfLine[String(table)]?.includes(name),
    )
    const told = story.get(`${table} ${key}`) ?? []
    story.set(`${table} ${key}`, told)
    told.push({
      ...change,
      row: change.op === 't' ? {} : Object.fromEntries(values),
    })
  }
  return story
}

async function contentsOf(world: World): Promise<Record<string, unknown[]>> {
  const contents: Record<string, unknown[]> = {}
  for (const table of await readSourceTables(world.sql, world.publicationName, world.entries)) {
    const replica = deriveReplica(table)
    contents[table.qualifiedName] = await world.rows(
      `SELECT * EXCEPT (_version, _deleted) FROM ${replicaTableName(replica)} FINAL ORDER BY ALL`,
    )
  }
  return contents
}

test('the same history by both feeds: the same log, the same replicas, and both equal the source', async () => {
  const world = await createKafkaWorld(randomTables, randomEntries)
  const twin = await createTwin(world)
  const [byKafka, inProcess] = [world.newFeed(), twin.newFeed()]
  byKafka.start()
  inProcess.start()
  await Promise.all([byKafka.caughtUp(), inProcess.caughtUp()])
  await fc.assert(
    fc.asyncProperty(fc.array(randomTransaction, { minLength: 30, maxLength: 60 }), async (transactions) => {
      for (const transaction of transactions) await runTransaction(world.sql, transaction)
      expect(await world.differences(byKafka)).toEqual([])
      expect(await twin.differences(inProcess)).toEqual([])
      expect(await contentsOf(world)).toEqual(await contentsOf(twin))
    }),
    { numRuns: Number(process.env.CDC_TEST_RUNS ?? 3), endOnFailure: true },
  )
  expect(await storyOf(world)).toEqual(await storyOf(twin))
  for (const one of [world, twin]) expect(await one.rows('SELECT * FROM cdc.dead_letters')).toEqual([])
  await twin.close()
  await world.close()
}, 240_000)
