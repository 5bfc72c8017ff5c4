import { rmSync } from 'node:fs'
import { startChdbServer } from '@tendon/chdb-server/start-chdb-server.ts'
import { createLog } from '@tendon/platform/log.ts'
import { createMetrics } from '@tendon/platform/metrics.ts'
import { applyCrmSchema } from '@tendon/sources/apply-schema.ts'
import { startTestPostgres } from '@tendon/sources/test-database.ts'
import { createWarehouse } from '@tendon/warehouse/client.ts'
import { applyMigrations } from '@tendon/warehouse/migrate.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import pg from 'pg'
import { z } from 'zod'
import { createCdcFeed } from './cdc-feed.ts'

const pgs = await startTestPostgres({ wal_level: 'logical' })
rmSync('/tmp/w/smoke', { recursive: true, force: true })
const ch = await startChdbServer({ dataPath: '/tmp/w/smoke' })
const warehouse = createWarehouse(ch)
await applyMigrations(warehouse)
const url = await pgs.freshDatabase()
const c = new pg.Client({ connectionString: url })
await c.connect()
await applyCrmSchema(c)
await c.query(
  `insert into prosthesis_models select g, 'm'||g, 'arm', 1, 12.5, 99.90, '{a,"b c"}', '2024-01-02' from generate_series(1,5) g`,
)
await c.query(
  `insert into customers (full_name,email,date_of_birth,address,locale,time_zone) select 'n'||g, 'e'||g||'@x.y', '1980-01-01', '{"a": "b"}', 'de', 'x' from generate_series(1,2000) g`,
)
const log = createLog({ service: 'cdc', level: process.argv[2] ? 'warn' : 'debug' })
const feed = createCdcFeed({
  config: { crmDatabaseUrl: url, slotName: 'tendon_cdc', publicationName: 'tendon_cdc' },
  warehouse,
  invalidate: async (u) => log.info({ users: u.length, first: u[0] }, 'invalidate'),
  log,
  metrics: createMetrics('cdc'),
})
const show = async (sql: string) =>
  console.log(
    JSON.stringify(
      await warehouse.query(
        defineQuery({ name: 'x', sql, params: z.object({}), row: z.record(z.string(), z.unknown()) }),
        {},
      ),
    ),
  )
feed.start()
await feed.caughtUp()
console.log(feed.status())
await show('select count(), min(full_name), max(full_name) from crm.customers final')
await show('select * from crm.prosthesis_models final limit 1')
await show('select * from crm.customers final limit 1')
await c.query(`update customers set full_name = full_name || '!'`)
const t = performance.now()
await feed.caughtUp()
console.log(performance.now() - t)
await show(`select count(), countIf(full_name like '%!') from crm.customers final`)
await c.query('truncate customers cascade')
await feed.caughtUp()
await show(`select count() from crm.customers final`)
await show(`select op, count(), any(row), any(key) from cdc.events group by op`)
await show(`select * from cdc.positions final`)
await show(`select * from cdc.snapshots final`)
await show(`select * from cdc.dead_letters final`)
if (process.argv[2]) {
  const N = 200000
  await c.query(
    `insert into customers (full_name,email,date_of_birth,address,locale,time_zone) select 'n'||g, 'e'||g||'@x.y', '1980-01-01', '{"a": "b", "city": "Berlin"}', 'de', 'Europe/Berlin' from generate_series(1,${N}) g`,
  )
  await feed.caughtUp()
  await c.query(`alter table customers disable trigger all`)
  for (let i = 0; i < 3; i++) {
    await feed.stop
    const t0 = performance.now()
    const cpu = process.cpuUsage()
    await c.query(`update customers set full_name = full_name || '?'`)
    const t1 = performance.now()
    await feed.caughtUp()
    const t2 = performance.now()
    const u = process.cpuUsage(cpu)
    console.log(
      'update',
      t1 - t0,
      'after commit',
      t2 - t1,
      'rows/s',
      (N / (t2 - t1)) * 1000,
      'cpu',
      u.user / 1e6,
      u.system / 1e6,
      process.memoryUsage().rss / 1e6,
    )
  }
  await show(`select count(), countIf(full_name like '%???') from crm.customers final`)
  const lat: number[] = []
  for (let i = 0; i < 100; i++) {
    const s = performance.now()
    await c.query(`update customers set phone = '${i}' where email = 'e5@x.y'`)
    const a = performance.now()
    for (;;) {
      const [r] = await warehouse.query(
        defineQuery({
          name: 'x',
          sql: `select phone from crm.customers final where email='e5@x.y'`,
          params: z.object({}),
          row: z.object({ phone: z.string().nullable() }),
        }),
        {},
      )
      if (r!.phone === String(i)) break
    }
    lat.push(performance.now() - a)
    void s
  }
  lat.sort((a, b) => a - b)
  console.log('latency p50', lat[50], 'p99', lat[99])
}
await feed.stop()
await c.end()
await warehouse.close()
await ch.stop()
await pgs.remove()
