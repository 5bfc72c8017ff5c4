import { expect, test } from 'vitest'
import { nobody } from '../derive/known-tables.ts'
import { type CreateWorld, withConnection } from './replica-of-source.fixture.ts'

/** In which order every feed must have changes. */
export function testOrder(createWorld: CreateWorld): void {
  test('two transactions that race for one key end as the source ends, where the order of LSNs would lose the row', async () => {
    const world = await createWorld('CREATE TABLE seats (id integer PRIMARY KEY, holder text)', [
      { name: 'public.seats', users: nobody },
    ])
    const ids = [1, 2, 3, 4, 5]
    await world.sql.query(`INSERT INTO seats SELECT id, 'old' FROM generate_series(1, 5) AS id`)
    const feed = world.newFeed()
    feed.start()
    await feed.caughtUp()

    // The INSERT writes its record, then waits for whoever holds the key; the DELETE is written after it and
    // commits before it.
    await Promise.all(
      ids.map((id) =>
        withConnection(world.url, (leaver) =>
          withConnection(world.url, async (comer) => {
            await leaver.query('BEGIN')
            await leaver.query(`UPDATE seats SET holder = 'leaving' WHERE id = $1`, [id])
            const { rows } = await comer.query('SELECT pg_backend_pid() AS pid')
            const arrival = comer.query(`INSERT INTO seats VALUES ($1, 'new')`, [id])
            const isBlocked = async () => {
              const blocked = await leaver.query('SELECT cardinality(pg_blocking_pids($1)) > 0 AS yes', [
                rows[0].pid,
              ])
              return blocked.rows[0].yes
            }
            await expect.poll(isBlocked, { interval: 5, timeout: 10_000 }).toBe(true)
            await leaver.query('DELETE FROM seats WHERE id = $1', [id])
            await leaver.query('COMMIT')
            await arrival
          }),
        ),
      ),
    )

    expect(await world.differences(feed)).toEqual([])
    const inverted = await world.rows(`
    SELECT key FROM cdc.events GROUP BY key
    HAVING maxIf(lsn, op = 'd') > maxIf(lsn, op = 'c') AND argMax(op, version) = 'c'`)
    expect(inverted).toHaveLength(ids.length)
    await world.close()
  }, 120_000)
}
