import pg from 'pg'
import { expect, test } from 'vitest'
import { nobody } from '../derive/known-tables.ts'
import type { CreateWorld } from './replica-of-source.fixture.ts'

/** A bug of PostgreSQL (see `isUndecodable`): what a slot gives cannot be decoded, since it was made at a bad moment. */
export function testUndecodableSlot(createWorld: CreateWorld): void {
  test('a slot that was made while a table was truncated, and cannot be decoded, is replaced', async () => {
    const world = await createWorld(
      'CREATE TABLE emptied (id integer PRIMARY KEY); CREATE TABLE other (id integer PRIMARY KEY)',
      ['public.emptied', 'public.other'].map((name) => ({ name, users: nobody })),
    )
    const sessions = Array.from({ length: 3 }, () => new pg.Client({ connectionString: world.url }))
    const [early, truncating, writing] = sessions as [pg.Client, pg.Client, pg.Client]
    try {
      await Promise.all(sessions.map((session) => session.connect()))
      // Whom the slot's maker waits for is told by the locks of transactions that are not granted.
      const isWaitedFor = async (session: pg.Client) => {
        const { rows } = await session.query('SELECT pg_current_xact_id()::xid AS xid')
        const waiting = `SELECT count(*)::int AS n FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted
          AND transactionid = $1`
        await expect
          .poll(async () => (await world.sql.query(waiting, [rows[0].xid])).rows[0].n, { timeout: 60_000 })
          .toBe(1)
      }
      const feed = world.newFeed()
      // Not before the feed has locked the tables for its publication.
      feed.start()
      await expect
        .poll(async () => (await world.sql.query('SELECT FROM pg_publication_tables')).rowCount, {
          timeout: 60_000,
        })
        .toBe(2)
      await early.query('BEGIN; SELECT pg_current_xact_id()')
      await isWaitedFor(early)
      await truncating.query('BEGIN; TRUNCATE emptied')
      await early.query('COMMIT')
      await isWaitedFor(truncating)
      await writing.query('BEGIN; INSERT INTO other VALUES (1)')
      const inserted = writing.query('INSERT INTO emptied VALUES (1)')
      await truncating.query('COMMIT')
      await inserted
      await writing.query('COMMIT')

      await feed.caughtUp()
      expect(await world.differences(feed)).toEqual([])
      expect(await world.rows('SELECT id FROM crm.emptied FINAL')).toEqual([{ id: 1 }])
    } finally {
      await Promise.all(sessions.map((session) => session.end()))
      await world.close()
    }
  }, 120_000)
}
