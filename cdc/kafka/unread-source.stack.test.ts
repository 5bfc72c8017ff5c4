import { expect, test } from 'vitest'
import { runCli } from '../cdc-process.fixture.ts'
import { nobody } from '../derive/known-tables.ts'
import { createKafkaWorld } from './kafka-world.fixture.ts'

const longer = { timeout: 60_000, interval: 500 }

test('what the connector may not read is said, and nothing is newer than what can be read', async () => {
  const world = await createKafkaWorld(
    `CREATE TABLE items (id integer PRIMARY KEY, v text); INSERT INTO items VALUES (1, 'read');
     CREATE SCHEMA hidden; CREATE TABLE hidden.others (id integer PRIMARY KEY)`,
    [{ name: 'public.items', users: nobody }],
  )
  await world.sql.query('REVOKE ALL ON SCHEMA hidden FROM tendon_cdc')
  const feed = world.newFeed()
  feed.start()
  expect(await world.differences(feed)).toEqual([])
  const cdc = (...argv: string[]) => runCli(world.settings, ...argv)
  const status = async () => JSON.parse((await cdc('status', '--json')).stdout)
  expect(await cdc('add', 'hidden.others')).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/tendon_cdc may not SELECT from hidden.others.*TENDON-CDC-030/s),
  })

  const before = (await status()).position.committed_at
  await feed.stop()
  const hasSchema = (does: string) =>
    world.sql.query(`${does} ALL ON SCHEMA public ${does === 'GRANT' ? 'TO' : 'FROM'} tendon_cdc`)
  await hasSchema('REVOKE')
  await world.sql.query(`REVOKE ALL ON SCHEMA public FROM public; UPDATE items SET v = 'not read yet'`)
  const connector = `${world.config.kafkaConnectUrl}/connectors/${world.slotName}`
  await fetch(connector, { method: 'DELETE' })
  const second = world.newFeed()
  second.start()
  const said = async () => (await status()).problems
  await expect.poll(said, longer).toContainEqual(
    expect.objectContaining({
      code: 'TENDON-CDC-030',
      detail: expect.stringContaining('permission denied for schema public'),
    }),
  )
  const { position } = await status()
  expect(position.committed_at).toBe(before)
  expect(position.late_at_most_seconds).toBeGreaterThan(0)

  await hasSchema('GRANT')
  expect(await world.differences(second)).toEqual([])
  expect(Date.parse((await status()).position.committed_at)).toBeGreaterThan(Date.parse(before))
  await world.close()
}, 240_000)
