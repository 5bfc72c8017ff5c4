import { afterAll, expect, test } from 'vitest'
import { nobody } from '../derive/known-tables.ts'
import { createWorld, startServers } from '../suites/replica-of-source.fixture.ts'
import { retryDeadLetters } from './dead-letter-retry.ts'
import { discardDeadLetters, listDeadLetters } from './kept-letters.ts'
import type { LetterPlace } from './letter-places.ts'

const servers = await startServers()
afterAll(() => servers.remove())

test('what ClickHouse refused is applied once it takes it, in its place among later changes', async () => {
  const items = 'CREATE TABLE items (id integer PRIMARY KEY, v text)'
  const world = await createWorld(servers, items, [{ name: 'public.items', users: nobody }])
  const feed = world.newFeed()
  feed.start()
  await feed.caughtUp()
  await world.warehouse.command('CREATE TABLE cdc.guarded (v UInt8) ENGINE = Null')
  await world.warehouse.command(
    `CREATE MATERIALIZED VIEW cdc.guard TO cdc.guarded AS
     SELECT throwIf(JSONExtractString(row, 'v') = 'poison') AS v FROM cdc.events`,
  )
  await world.sql.query(`INSERT INTO items SELECT n, 'poison' FROM generate_series(1, 6) n`)
  await world.sql.query(`UPDATE items SET v = 'later' WHERE id = 1; DELETE FROM items WHERE id = 2`)
  await feed.caughtUp()
  // One that was never a row.
  await world.warehouse.insertRows('cdc.dead_letters', [
    { table: 'public.items', version: 9, op: 'u', reason: 'not decoded', encoding: 'hex', message: '55aa' },
  ])
  expect(await listDeadLetters(world.warehouse, 'public.items', 100)).toHaveLength(7)
  expect(await listDeadLetters(world.warehouse, undefined, 2)).toHaveLength(2)
  expect(await listDeadLetters(world.warehouse, 'public.others', 100)).toEqual([])

  const before = await listDeadLetters(world.warehouse, undefined, 100)
  const parts = { warehouse: world.warehouse, replicas: [await world.replica('public.items')] }
  // Nobody would see those that a later change has superseded.
  const inVain = await retryDeadLetters(parts)
  expect(inVain).toEqual({ applied: 0, superseded: 2, failed_again: 4, not_retried: 1 })
  const withoutTime = (letters: typeof before) => letters.map(({ failed_at: _, ...rest }) => rest)
  const after = await listDeadLetters(world.warehouse, undefined, 100)
  expect(withoutTime(before)).toEqual(expect.arrayContaining(withoutTime(after)))

  await world.warehouse.command('DROP VIEW cdc.guard SYNC')
  await world.warehouse.command(
    `CREATE MATERIALIZED VIEW cdc.guard TO cdc.guarded AS SELECT throwIf(key = '{"id":3}') AS v FROM cdc.events`,
  )
  const applied: LetterPlace[][] = []
  const onApplied = async (places: LetterPlace[]) => void applied.push(places)
  const inPart = await retryDeadLetters({ ...parts, onApplied })
  expect(inPart).toMatchObject({ applied: 3, failed_again: 1 })
  expect(applied.map((places) => places.map(({ key }) => key))).toEqual([
    ['{"id":4}', '{"id":5}', '{"id":6}'],
  ])
  await world.warehouse.command('DROP VIEW cdc.guard SYNC')
  expect(await retryDeadLetters({ ...parts, table: 'public.others' })).toMatchObject({
    applied: 0,
  })
  const progress: number[] = []
  const done = await retryDeadLetters({
    ...parts,
    table: 'public.items',
    onProgress: (part) => progress.push(part),
  })
  expect(done).toEqual({ applied: 1, superseded: 0, failed_again: 0, not_retried: 1 })
  expect(progress).toEqual([1])
  expect(await world.differences(feed)).toEqual([])
  expect((await listDeadLetters(world.warehouse, undefined, 100)).map(({ encoding }) => encoding)).toEqual([
    'hex',
  ])
  expect(await discardDeadLetters(world.warehouse, 'public.others')).toBe(0)
  expect(await discardDeadLetters(world.warehouse, 'public.items')).toBe(1)
  expect(await listDeadLetters(world.warehouse, undefined, 100)).toEqual([])
  await world.close()
})

test('a retry leaves nothing in a replica that the source does not have, and what still does not fit stays', async () => {
  const narrow = { name: 'public.prices', types: { price: 'Decimal(6, 2)' }, users: nobody }
  const ddl = 'CREATE TABLE prices (id integer PRIMARY KEY, price numeric NOT NULL, name text NOT NULL)'
  const world = await createWorld(servers, ddl, [narrow])
  const first = world.newFeed()
  first.start()
  await first.caughtUp()
  await world.sql.query(
    `INSERT INTO prices VALUES (1, 1.5, 'a'), (2, 1.2345, 'b'), (3, 'NaN', 'c'), (4, 4.5678, 'd')`,
  )
  await first.caughtUp()
  const parts = { warehouse: world.warehouse, replicas: [await world.replica('public.prices')] }
  expect(await retryDeadLetters(parts)).toMatchObject({ applied: 0, superseded: 0, failed_again: 3 })
  await world.sql.query('DELETE FROM prices WHERE id = 4')
  await first.caughtUp()
  await first.stop()

  // The replica is read whole with a wider column: nothing in it says that a row was ever deleted.
  const wide = { ...narrow, types: { price: 'Decimal(12, 4)' } }
  const second = world.newFeed({ entries: [wide] })
  second.start()
  await second.caughtUp()
  await world.warehouse.insertRows('cdc.dead_letters', [
    {
      table: 'public.prices',
      key: '{"id":5}',
      version: (1n << 120n).toString(),
      op: 'c',
      reason: 'NULL',
      encoding: 'json',
      message: '{"id":5,"price":"1","name":null,"__op":"c"}',
      committed_at: new Date().toISOString(),
    },
  ])
  expect(await retryDeadLetters(parts)).toMatchObject({ applied: 0, superseded: 2, failed_again: 2 })
  expect(await world.rows('SELECT id FROM crm.prices FINAL ORDER BY id')).toEqual([{ id: 1 }, { id: 2 }])
  const left = await listDeadLetters(world.warehouse, undefined, 100)
  expect(left.map(({ key, reason }) => ({ key, reason }))).toEqual([
    { key: '{"id":5}', reason: expect.stringContaining('NULL where it is NOT NULL') },
    { key: '{"id":3}', reason: 'a value does not fit the type of its column' },
  ])
  await world.close()
})

test('a letter says which message it was, also of a value that does not fit', async () => {
  const ddl = 'CREATE TABLE prices (id integer PRIMARY KEY, price numeric NOT NULL)'
  const narrow = { name: 'public.prices', types: { price: 'Decimal(6, 2)' }, users: nobody }
  const world = await createWorld(servers, ddl, [narrow])
  const feed = world.newFeed()
  feed.start()
  await feed.caughtUp()
  const place = { topic: 'crm.public.prices', partition: 2, offset: '7' }
  await world.warehouse.insertRows('cdc.events', [
    {
      table: 'public.prices',
      key: '{"id":1}',
      version: 9,
      lsn: 9,
      op: 'c',
      deleted: 0,
      row: '{"id":1,"price":"1.2345","__op":"c"}',
      tx_id: 1,
      committed_at: '2026-01-01T00:00:00Z',
      ...place,
    },
  ])
  expect(await listDeadLetters(world.warehouse, undefined, 100)).toMatchObject([
    { key: '{"id":1}', ...place },
  ])
  await world.close()
})
