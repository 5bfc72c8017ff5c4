import { execFileSync } from 'node:child_process'
import { appendFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { applyTelemetrySchema } from '@tendon/sources/apply-schema.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '@tendon/sources/embedded-postgres.ts'
import pg from 'pg'
import { afterAll, expect, test } from 'vitest'
import { startEtlWorld } from '../fixtures/etl-world.fixture.ts'

const world = await startEtlWorld()
const folder = await mkdtemp(join(tmpdir(), 'tendon-etl-clusters-'))
const servers: EmbeddedPostgres[] = []
afterAll(async () => {
  await Promise.all([world.stop(), ...servers.map((server) => server.stop())])
  await rm(folder, { recursive: true, force: true })
})

async function startCluster(name: string): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({ dataPath: join(folder, name), settings: { fsync: 'off' } })
  servers.push(server)
  return server
}

const copyWithOwner = (from: string, to: string) => execFileSync('cp', ['-a', from, to])

/** A database as the first one of a new cluster has it: its numbers are the same in each. */
async function makeTelemetry(server: EmbeddedPostgres): Promise<void> {
  await server.createDatabase('telemetry')
  const client = new pg.Client({ connectionString: server.url('telemetry') })
  await client.connect()
  await applyTelemetrySchema(client)
  await client.query(
    "INSERT INTO telemetry_events (chip_id, signal, recorded_at) VALUES ('c1', 'status', '2026-01-02 10:00Z')",
  )
  await client.end()
}

test('a watermark of another cluster, or of another life of the same one, means nothing', async () => {
  const story = await world.freshStory()
  await story.issue({
    chip_id: 'c1',
    customer_id: '00000000-0000-4000-8000-00000000000a',
    issued_at: '2026-01-01',
  })
  const run = async (server: EmbeddedPostgres) => {
    const ended = await story.createEtl({ telemetry: server.url('telemetry') }).runOnce()
    if (ended.state === 'skipped') throw new Error('skipped')
    const [cluster, timeline, ...rest] = ended.source.split('/')
    return { mode: ended.mode, cluster, timeline, rest }
  }
  const [first, other] = await Promise.all(['first', 'other'].map(startCluster))
  await Promise.all([first!, other!].map(makeTelemetry))
  const before = await run(first!)
  expect(before.mode).toBe('full')
  expect(await run(first!)).toEqual({ ...before, mode: 'increment' })
  // Nothing but the number that initdb has drawn is another one.
  const elsewhere = await run(other!)
  expect(elsewhere).toEqual({ ...before, mode: 'full', cluster: expect.not.stringMatching(before.cluster!) })

  // As it is brought back from a backup: recovery ends, and the timeline with it.
  await run(first!)
  await first!.stop()
  const restored = join(folder, 'restored', 'cluster')
  // With their owners, as the server insists on. Of the signal nothing but its name counts.
  copyWithOwner(join(folder, 'first'), join(folder, 'restored'))
  copyWithOwner(join(restored, 'PG_VERSION'), join(restored, 'recovery.signal'))
  await appendFile(join(restored, 'postgresql.auto.conf'), "restore_command = 'false'\n")
  const revived = await run(await startCluster('restored'))
  expect(revived).toEqual({ ...before, mode: 'full', timeline: '00000002' })
  await story.end()
}, 240_000)
