import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { registry } from '../registry.ts'
import type { CreateWorld, World } from '../suites/replica-of-source.fixture.ts'
import { crmSchema } from './patients.fixture.ts'

/** Whose reports every feed must invalidate, and when. */
export function testInvalidation(createWorld: CreateWorld): void {
  type People = { ann: string; ben: string; cat: string }

  async function createCrm(): Promise<World & { people: People }> {
    const world = await createWorld(crmSchema, [...registry])
    const people = { ann: randomUUID(), ben: randomUUID(), cat: randomUUID() }
    for (const [name, id] of Object.entries(people)) {
      await world.sql.query(
        `INSERT INTO customers (id, full_name, email, date_of_birth, address, locale, time_zone)
       VALUES ($1, $2, $3, '1980-01-02', '{}', 'de', 'Europe/Berlin')`,
        [id, name, `${name}@example.com`],
      )
    }
    await world.sql.query(
      `INSERT INTO prosthesis_models VALUES (1, 'one', 'hand', 1, 1.5, 2.50, '{}', '2024-01-01'),
       (2, 'two', 'foot', 1, 1.5, 2.50, '{a}', '2024-01-01')`,
    )
    return Object.assign(world, { people })
  }

  const fit = (world: World, chip: string, customer: string, model: number) =>
    world.sql.query(
      `INSERT INTO prostheses (serial_number, chip_id, customer_id, model_id, side, firmware_version, issued_at)
     VALUES ($1, $1, $2, $3, 'left', '1.0.0', '2024-01-01')`,
      [chip, customer, model],
    )

  test('who is concerned: the customer, everybody with the model, present and former owners, all of a truncated table', async () => {
    const world = await createCrm()
    const { ann, ben, cat } = world.people
    await fit(world, 'c1', ann, 1)
    await fit(world, 'c2', ben, 2)
    const feed = world.newFeed()
    feed.start()
    await feed.caughtUp()
    expect(new Set(world.invalidated.flat())).toEqual(new Set([ann, ben, cat]))

    const concernedBy = async (sql: string): Promise<Set<string>> => {
      world.invalidated.length = 0
      await world.sql.query(sql)
      await feed.caughtUp()
      return new Set(world.invalidated.flat())
    }
    expect(await concernedBy(`UPDATE customers SET phone = '1' WHERE id = '${ann}'`)).toEqual(new Set([ann]))
    expect(await concernedBy(`UPDATE prosthesis_models SET name = 'uno' WHERE id = 1`)).toEqual(
      new Set([ann]),
    )
    expect(await concernedBy(`UPDATE prostheses SET side = 'right' WHERE chip_id = 'c2'`)).toEqual(
      new Set([ben]),
    )
    expect(await concernedBy(`UPDATE prostheses SET customer_id = '${cat}' WHERE chip_id = 'c1'`)).toEqual(
      new Set([ann, cat]),
    )
    expect(await concernedBy(`DELETE FROM prostheses WHERE chip_id = 'c1'`)).toEqual(new Set([ann, cat]))
    expect(await concernedBy('TRUNCATE prostheses')).toEqual(
      new Set([ben, ann, cat].filter((id) => id === ben)),
    )
    expect(await concernedBy(`BEGIN; UPDATE customers SET phone = '2'; ROLLBACK`)).toEqual(new Set())
    // More keys than are sent along.
    const many = `INSERT INTO customers (full_name, email, date_of_birth, address, locale, time_zone)
    SELECT 'many', n || '@example.com', '1980-01-02', '{}', 'de', 'Europe/Berlin' FROM generate_series(1, 2000) n`
    expect((await concernedBy(many)).size).toBe(2000)
    await world.close()
  })

  test('users are invalidated after the change is visible, and only then does the position move on', async () => {
    const world = await createCrm()
    const { ann, ben } = world.people
    const seen: unknown[] = []
    let isReachable = true
    let refusals = 0
    const feed = world.newFeed({
      invalidate: async (users) => {
        const [row] = await world.rows(`SELECT full_name FROM crm.customers FINAL WHERE id = '${ann}'`)
        if (!isReachable) {
          refusals++
          throw new Error('reports-service is not there')
        }
        if (users.includes(ann)) seen.push(row?.full_name)
      },
    })
    feed.start()
    await feed.caughtUp()
    // Once by each row, and perhaps once more for the table that was read whole.
    const distinct = () => seen.filter((name, place) => name !== seen[place - 1])
    expect(distinct()).toEqual(['ann'])

    // However far the position is, a transaction is not taken for whole while it is open.
    const wholeBefore = async () => {
      const [stored] = await world.rows(
        'SELECT toString(whole_before) AS whole, lsn FROM cdc.positions FINAL',
      )
      return { whole: BigInt(String(stored?.whole)), lsn: BigInt(String(stored?.lsn)) }
    }
    await world.sql.query(`BEGIN; UPDATE customers SET phone = 'open' WHERE id = '${ben}'`)
    // What is not written out yet is not waited for.
    await world.sql.query('SELECT pg_switch_wal()')
    await feed.caughtUp()
    const whileOpen = await wholeBefore()
    await world.sql.query('COMMIT')
    await feed.caughtUp()
    const [change] = await world.rows(
      `SELECT toString(version) AS version, lsn FROM cdc.events WHERE JSONExtractString(row, 'phone') = 'open'`,
    )
    const version = BigInt(String(change?.version))
    expect(whileOpen.lsn).toBeGreaterThan(BigInt(String(change?.lsn)))
    expect(whileOpen.whole).toBeLessThanOrEqual(version)
    await expect
      .poll(async () => (await wholeBefore()).whole, { interval: 20, timeout: 20_000 })
      .toBeGreaterThan(version)

    for (const name of ['Ann', 'ANN']) {
      await world.sql.query('UPDATE customers SET full_name = $1 WHERE id = $2', [name, ann])
      await feed.caughtUp()
    }
    expect(distinct()).toEqual(['ann', 'Ann', 'ANN'])

    isReachable = false
    const position = async () => {
      const [stored] = await world.rows('SELECT lsn FROM cdc.positions FINAL')
      return stored?.lsn
    }
    await feed.caughtUp()
    const before = await position()
    const nameOf = async (id: string) => {
      const [row] = await world.rows(`SELECT full_name FROM crm.customers FINAL WHERE id = '${id}'`)
      return row?.full_name
    }
    await world.sql.query(`UPDATE customers SET full_name = 'Anna' WHERE id = $1`, [ann])
    await expect.poll(() => refusals, { interval: 5, timeout: 10_000 }).toBeGreaterThan(1)
    // Later changes are not held up by that.
    await world.sql.query(`UPDATE customers SET full_name = 'Benno' WHERE id = $1`, [ben])
    await expect.poll(() => nameOf(ben), { interval: 10, timeout: 10_000 }).toBe('Benno')
    expect(await nameOf(ann)).toBe('Anna')
    expect(await position()).toBe(before)
    await feed.stop()

    // A feed that starts again tells of it again.
    const second = world.newFeed()
    second.start()
    await second.caughtUp()
    expect(world.invalidated.flat()).toEqual(expect.arrayContaining([ann, ben]))
    await expect.poll(position, { interval: 5, timeout: 10_000 }).not.toBe(before)
    await world.close()
  })
}
