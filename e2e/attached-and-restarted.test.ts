import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { demoPeople } from '@tendon/sources/demo-people.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '@tendon/sources/embedded-postgres.ts'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { signIn, startTestTendon } from './test-tendon.fixture.ts'

let folder: string
let outside: EmbeddedPostgres

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tendon-attached-'))
  outside = await startEmbeddedPostgres({
    dataPath: join(folder, 'outside-postgres'),
    settings: { wal_level: 'logical' },
  })
  await Promise.all([outside.createDatabase('crm'), outside.createDatabase('telemetry')])
})
afterAll(async () => {
  await outside?.stop()
  await rm(folder, { recursive: true, force: true })
})

test('attached to a PostgreSQL outside, and stopped and started again, it is the same product', async () => {
  const options = {
    dataPath: join(folder, 'data'),
    env: {
      CRM_DATABASE_URL: outside.url('crm'),
      TELEMETRY_DATABASE_URL: outside.url('telemetry'),
      TENDON_DEMO_DATA: 'yes',
      TENDON_DEMO_DAYS: '3',
    },
  }
  const first = await startTestTendon(options)
  try {
    const alice = await signIn(first, 'alice')
    expect((await alice.report()).data.customer.full_name).toBe(demoPeople.alice.fullName)
  } finally {
    await first.stop()
  }

  // Changed while Tendon is down: the feed goes on from where it stopped.
  const client = new pg.Client({ connectionString: outside.url('crm') })
  await client.connect()
  await client.query("UPDATE customers SET full_name = 'Alice While Away' WHERE id = $1", [
    demoPeople.alice.customerId,
  ])
  await client.end()

  const second = await startTestTendon(options)
  try {
    const alice = await signIn(second, 'alice')
    expect((await alice.report()).data.customer.full_name).toBe('Alice While Away')
  } finally {
    await second.stop()
  }
})
