import { expect, test } from 'vitest'
import { runCli } from '../cdc-process.fixture.ts'
import { nobody } from '../derive/known-tables.ts'
import { createKafkaWorld } from './kafka-world.fixture.ts'

const megabytes = 1_000_000

/** Kafka's own limit is a megabyte, at which a connector stops for good; ours is 64 MiB (deploy/kafka, deploy/connect). */
test('rows of many megabytes arrive; one that Kafka does not take is said, and its column can be left out', async () => {
  const world = await createKafkaWorld(
    `CREATE TABLE papers (id integer PRIMARY KEY, body text);
     CREATE TABLE others (id integer PRIMARY KEY);
     INSERT INTO papers VALUES (1, repeat('x', ${2 * megabytes}))`,
    [{ name: 'public.others', users: nobody }],
  )
  const papers = { name: 'public.papers', users: nobody }
  const feed = world.newFeed()
  feed.start()
  await feed.caughtUp()
  expect(await runCli(world.settings, 'add', 'papers')).toMatchObject({ code: 0 })
  await world.sql.query(`INSERT INTO papers VALUES (2, repeat('y', ${5 * megabytes}))`)
  expect(await world.differences(feed, [papers])).toEqual([])

  await world.sql.query(`INSERT INTO papers VALUES (3, repeat('z', ${70 * megabytes}))`)
  await world.sql.query('INSERT INTO others VALUES (1)')
  const status = async () => (await runCli(world.settings, 'status')).stdout
  await expect
    .poll(status, { timeout: 90_000, interval: 500 })
    .toMatch(/TENDON-CDC-033: .*larger than 67108864[\s\S]*--omit/)
  expect(await runCli(world.settings, 'add', 'papers', '--omit', 'body')).toMatchObject({ code: 0 })
  expect(await world.differences(feed, [...world.entries, { ...papers, omitColumns: ['body'] }])).toEqual([])
  await world.close()
}, 240_000)
