import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectSource } from '@tendon/cdc/source/postgres-connection.ts'
import { createLifecycle } from '@tendon/platform/lifecycle.ts'
import { createLog } from '@tendon/platform/log.ts'
import { expect, test } from 'vitest'
import { readEmbeddedConfig } from './embedded-config.ts'
import { embeddedDatabases, openDatabases } from './open-databases.ts'

const log = createLog({ service: 'test', level: 'fatal' })

test('the CRM that is started here keeps no WAL until the disk is full', async () => {
  const dataPath = await mkdtemp(join(tmpdir(), 'tendon-databases-'))
  const env = {
    TELEMETRY_DATABASE_URL: 'postgresql://telemetry.example.org/telemetry',
    CLICKHOUSE_URL: 'http://clickhouse.example.org',
  }
  const lifecycle = createLifecycle({ log })
  try {
    const config = readEmbeddedConfig({ env, argv: [] })
    expect(embeddedDatabases(config)).toBe('PostgreSQL for CRM')
    expect(embeddedDatabases({ ...config, crmDatabaseUrl: 'postgresql://crm.example.org/crm' })).toBe('')
    const { crmUrl } = await openDatabases(config, { dataPath, lifecycle, log })
    const client = await connectSource(crmUrl)
    const { rows } = await client.query('SHOW max_slot_wal_keep_size')
    await client.end()
    expect(rows).toEqual([{ max_slot_wal_keep_size: '4GB' }])
  } finally {
    await lifecycle.stop()
    await rm(dataPath, { recursive: true, force: true })
  }
})

test('what is attached is not started, and an engine that cannot start says so with a code', async () => {
  const dataPath = await mkdtemp(join(tmpdir(), 'tendon-databases-'))
  const crm = 'postgresql://crm.example.org/crm'
  const telemetry = 'postgresql://telemetry.example.org/telemetry'
  const env = { CRM_DATABASE_URL: crm, TELEMETRY_DATABASE_URL: telemetry }
  const config = readEmbeddedConfig({ env, argv: [] })
  const lifecycle = createLifecycle({ log })
  try {
    const parts = { dataPath, lifecycle, log }
    expect(await openDatabases(config, parts)).toMatchObject({ crmUrl: crm, telemetryUrl: telemetry })
    await expect(openDatabases(config, parts)).rejects.toMatchObject({ code: 'TENDON-EMBEDDED-001' })
  } finally {
    await lifecycle.stop()
    await rm(dataPath, { recursive: true, force: true })
  }
})
