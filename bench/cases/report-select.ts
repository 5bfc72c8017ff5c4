import { readFile } from 'node:fs/promises'
import { readCustomer } from '@tendon/reports-service/customer-data/customer-query.ts'
import type { Customer, ReadWarehouse } from '@tendon/reports-service/declarations/report.ts'
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

type OneCustomer = { user_id: string; customer: Customer }
type Asked = { sql: string; parameters: Record<string, unknown> }

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

  // As the service reads, with a note of what was asked and how long it took.
  const durations = new Map<string, number[]>()
  const asked = new Map<string, Asked>()
  const read: ReadWarehouse = async (query, parameters) => {
    const startedAt = performance.now()
    const rows = await warehouse.query(query, parameters)
    durations.set(query.name, [...(durations.get(query.name) ?? []), performance.now() - startedAt])
    asked.set(query.name, { sql: query.sql, parameters: z.record(z.string(), z.unknown()).parse(parameters) })
    return rows
  }
  async function sample(repetitions: number, compute: (customer: OneCustomer) => Promise<unknown>) {
    const samples: number[] = []
    for (let n = 0; n < repetitions; n += 1) {
      const user_id = userId(Math.floor(Math.random() * users))
      const startedAt = performance.now()
      const customer = await readCustomer(read, user_id)
      await compute({ user_id, customer: customer! })
      samples.push(performance.now() - startedAt)
    }
    return samples
  }
  const dailyMs = await sample(200, (one) => daily.compute(read, { ...one, date: lastDay, chosen: {} }))
  const trendMs = await sample(100, (one) =>
    trend.compute(read, { ...one, date: lastDay, chosen: { days: '90' } }),
  )
  const fleetMs = await sample(20, () =>
    fleet.compute(read, { user_id: null, customer: null, date: lastDay, chosen: {} }),
  )
  const measurements: Measurement[] = [
    measured('rows of statistics', users * days, 'rows'),
    ...measuredLatency(
      'prosthesis-daily, the SELECT of its numbers',
      durations.get('prosthesis-daily/statistics') ?? [],
    ),
    ...measuredLatency('prosthesis-daily, all its queries', dailyMs),
    ...measuredLatency('prosthesis-trend of 90 days, all its queries', trendMs),
    ...measuredLatency('fleet, all its queries', fleetMs),
  ]
  for (const [name, query] of asked) {
    const rows = await rowsSelected(warehouse, query)
    measurements.push(measured(`${name}: rows that primary keys select`, rows, 'rows'))
  }
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

/** What ClickHouse would read, by its own estimate, of all parts that hold rows of what was asked for. */
async function rowsSelected(warehouse: Warehouse, { sql, parameters }: Asked): Promise<number> {
  const estimate = defineQuery({
    name: 'bench-estimate',
    sql: `EXPLAIN ESTIMATE ${sql}`,
    params: z.record(z.string(), z.unknown()),
    row: z.object({ rows: z.coerce.number() }),
  })
  const parts = await warehouse.query(estimate, parameters)
  return parts.reduce((sum, { rows }) => sum + rows, 0)
}
