import { startTestPostgres } from '@tendon/sources/test-database.fixture.ts'
import pg from 'pg'
import { afterAll, expect, test } from 'vitest'
import { endHolder, takeRunLock, waitForRunLock } from './run-lock.ts'

const postgres = await startTestPostgres()
afterAll(() => postgres.remove())

async function connect(url: string): Promise<pg.Client & { pid: number }> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
  return Object.assign(client, rows[0]!)
}

test('who ends the run that has the lock has it then, and nobody else', async () => {
  const url = await postgres.freshDatabase()
  const [stuck, next, third] = await Promise.all([connect(url), connect(url), connect(url)])
  expect(await takeRunLock(stuck, 0)).toEqual({ state: 'taken' })
  const found = await takeRunLock(next, 0)
  expect(found).toMatchObject({ state: 'busy', holder: { pid: stuck.pid } })
  if (found.state !== 'busy' || !found.holder) throw new Error('nobody has it')
  expect(await endHolder(next, found.holder)).toBe(true)
  expect(await takeRunLock(third, 0)).toMatchObject({ state: 'busy', holder: { pid: next.pid } })
  await next.end()
  await expect.poll(() => takeRunLock(third, 0)).toEqual({ state: 'taken' })
  await third.end()
})

test('a part of a backfill is waited for, and gives the lock up to who waits before the next part has it', async () => {
  const url = await postgres.freshDatabase()
  const [part, run, nextPart] = await Promise.all([connect(url), connect(url), connect(url)])
  expect(await waitForRunLock(part, 0)).toBe(true)
  expect(await waitForRunLock(nextPart, 20)).toBe(false)
  const order: string[] = []
  const taken = (name: string) => (state: unknown) => void order.push(`${name} ${JSON.stringify(state)}`)
  const waiting = "SELECT count(*)::int AS count FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
  const monitor = await connect(url)
  const waiters = (count: number) =>
    expect.poll(async () => (await monitor.query(waiting)).rows).toEqual([{ count }])
  const first = takeRunLock(run, 60_000).then(taken('run'))
  await waiters(1)
  const second = waitForRunLock(nextPart, 60_000).then(taken('part'))
  await waiters(2)
  await part.end()
  await first
  await waiters(1)
  await run.end()
  await second
  expect(order).toEqual(['run {"state":"taken"}', 'part true'])
  await Promise.all([nextPart.end(), monitor.end()])
})
