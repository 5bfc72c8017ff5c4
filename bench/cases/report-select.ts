import { readFile } from 'node:fs/promises'
import type { ReadWarehouse } from '@tendon/reports-service/report.ts'
import { report as fleet } from '@tendon/reports-service/reports/fleet/report.ts'
import { report as daily } from '@tendon/reports-service/reports/prosthesis-daily/report.ts'
import { report as trend } from '@tendon/reports-service/reports/prosthesis-trend/report.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { crmReplicas } from '@tendon/warehouse/crm-replicas.fixture.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import type { BenchCase, BenchContext } from '../bench-case.ts'
import { openWarehouse } from '../embedded-servers.ts'
import { type Measurement, measured, measuredLatency } from '../results.ts'

/** One prosthesis each, a row a day. */
const users = 100_000
const days = 1_000
const usersPerInsert = 2_000
const lastDay = '2026-01-31'

export const reportSelectCase: BenchCase = {
  name: 'report-select',
  title: `the SELECTs of the reports at ${(users * days) / 1e6} million rows of statistics`,
  timeoutMs: 3_600_000,
  run: measureSelects,
}

const userId = (user: number) => `a0000000-0000-4000-8000-${String(user).padStart(12, '0')}`

async function measureSelects(context: BenchContext) {
  const { say } = context
  const { warehouse } = await openWarehouse(context)
  for (const table of crmReplicas) await warehouse.command(table)
  await makeCustomers(warehouse)
  const insert = await readFile(new URL('report-select-rows.sql', import.meta.url), 'utf8')
  for (let first = 0; first < users; first += usersPerInsert) {
    await warehouse.command(insert, { first, users: usersPerInsert, days, last_day: lastDay })
    if (first % 20_000 === 0) say(`${first * days} of ${users * days} rows`)
  }

  // As the service reads, with a note of how long each took.
  const durations = new Map<string, number[]>()
  const read: ReadWarehouse = async (query, parameters) => {
    const startedAt = performance.now()
    const rows = await warehouse.query(query, parameters)
    durations.set(query.name, [...(durations.get(query.name) ?? []), performance.now() - startedAt])
    return rows
  }
  const measurements: Measurement[] = [measured('rows of statistics', users * days, 'rows')]
  const whole: Record<string, number[]> = {}
  async function sample(what: string, compute: () => Promise<unknown>): Promise<void> {
    const startedAt = performance.now()
    await compute()
    whole[what] = [...(whole[what] ?? []), performance.now() - startedAt]
  }
  for (let n = 0; n < 200; n += 1) {
    const user_id = userId(Math.floor(Math.random() * users))
    await sample('prosthesis-daily, all its queries', () =>
      daily.compute(read, { user_id, date: lastDay, chosen: {} }),
    )
  }
  for (let n = 0; n < 20; n += 1) {
    const user_id = userId(Math.floor(Math.random() * users))
    await sample('prosthesis-trend of 90 days', () =>
      trend.compute(read, { user_id, date: lastDay, chosen: { days: '90' } }),
    )
  }
  for (let n = 0; n < 3; n += 1) {
    await sample('fleet', () => fleet.compute(read, { user_id: null, date: lastDay, chosen: {} }))
  }
  const statistics = durations.get('prosthesis-daily/statistics') ?? []
  measurements.push(...measuredLatency('prosthesis-daily, the SELECT of its numbers', statistics))
  for (const [what, samples] of Object.entries(whole)) measurements.push(...measuredLatency(what, samples))
  measurements.push(
    measured('prosthesis-daily: rows that the primary key selects', await rowsSelected(warehouse), 'rows'),
  )
  const [version] = await warehouse.query(clickhouseVersion, {})
  return { measurements, servers: { clickhouse: version!.version } }
}

const clickhouseVersion = defineQuery({
  name: 'bench-version',
  sql: 'SELECT version() AS version',
  params: z.object({}),
  row: z.object({ version: z.string() }),
})

async function makeCustomers(warehouse: Warehouse): Promise<void> {
  await warehouse.command(
    "INSERT INTO crm.prosthesis_models (id, name, _version) SELECT number + 1, concat('Model ', toString(number + 1)), 1 FROM numbers(20)",
  )
  await warehouse.command(
    `INSERT INTO crm.customers (id, full_name, _version)
     SELECT toUUID(concat('a0000000-0000-4000-8000-', leftPad(toString(number), 12, '0'))), 'Somebody', 1 FROM numbers({users:UInt32})`,
    { users },
  )
  await warehouse.command(
    `INSERT INTO crm.prostheses (id, serial_number, customer_id, model_id, firmware_version, issued_at, _version)
     SELECT toUUID(concat('b0000000-0000-4000-8000-', leftPad(toString(number), 12, '0'))), toString(number),
       toUUID(concat('a0000000-0000-4000-8000-', leftPad(toString(number), 12, '0'))), number % 20 + 1, '3.1.0', '2020-01-01', 1
     FROM numbers({users:UInt32})`,
    { users },
  )
}

/** What ClickHouse would read, by its own estimate, of all parts that hold rows of the user. */
async function rowsSelected(warehouse: Warehouse): Promise<number> {
  const path = new URL('../../reports-service/reports/prosthesis-daily/statistics.sql', import.meta.url)
  const estimate = defineQuery({
    name: 'bench-estimate',
    sql: `EXPLAIN ESTIMATE ${await readFile(path, 'utf8')}`,
    params: z.object({ user_id: z.uuid(), date: z.iso.date() }),
    row: z.object({ rows: z.coerce.number() }),
  })
  const parts = await warehouse.query(estimate, { user_id: userId(users / 2), date: lastDay })
  return parts.reduce((sum, { rows }) => sum + rows, 0)
}
