import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import pg from 'pg'
import { z } from 'zod'

export const crmSchema = await readFile(
  new URL(import.meta.resolve('@tendon/sources/crm/schema.sql')),
  'utf8',
)

/**
 * Each patient has something changed for a moment only: whoever is not told of the last of it is not told by accident
 * of a later change either.
 */
const windowMs = 2_000
const patientsInWindow = 40

const patientId = (number: number) => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`

const enter = `
  INSERT INTO customers (id, full_name, email, phone, date_of_birth, address, locale, time_zone)
  VALUES ($1::uuid, 'Patient', $1::uuid::text || '@example.com', $2, '1980-01-02', '{}', 'de', 'Europe/Berlin')
  ON CONFLICT DO NOTHING`
const release = `
  INSERT INTO prosthesis_models VALUES ($1::integer, $1::integer::text, 'hand', 1, 1.5, 2.50, '{}', '2024-01-01')
  ON CONFLICT DO NOTHING`
const fit = `
  INSERT INTO prostheses (serial_number, chip_id, customer_id, model_id, side, firmware_version, issued_at)
  VALUES ($2, $2, $1, $3, 'left', '1.0.0', '2024-01-01')`
const oneOf = '(SELECT id FROM prostheses WHERE customer_id = $1 ORDER BY random() LIMIT 1)'

type Statement = [sql: string, values: unknown[]]

/** What happens at a clinic, in one transaction. @param model the one that is fitted these days */
function changeOf(patient: string, other: string, model: number, word: string): Statement[] {
  const choice = Math.random()
  if (choice < 0.4) return [['UPDATE customers SET phone = $2 WHERE id = $1', [patient, word]]]
  if (choice < 0.65) return [[fit, [patient, word, model]]]
  const passOn = `UPDATE prostheses SET customer_id = $2 WHERE id = ${oneOf}`
  if (choice < 0.8) return [[passOn, [patient, other]]]
  if (choice < 0.92) return [[`DELETE FROM prostheses WHERE id = ${oneOf}`, [patient]]]
  if (choice < 0.95) return [['UPDATE prosthesis_models SET name = $2 WHERE id = $1', [model, word]]]
  const parts = ['prostheses WHERE customer_id', 'customers WHERE id']
  return parts.map((part) => [`DELETE FROM ${part} = $1`, [patient]])
}

export type Clinic = {
  /** Transactions committed so far. */
  commits(): number
  stop(): Promise<void>
}

/** Patients come to it, are fitted with prostheses, and some leave again. */
export function startClinic(url: string, { sessions = 4, pauseMs = 60 } = {}): Clinic {
  const startedAt = performance.now()
  let commits = 0
  let isStopping = false

  async function session(number: number): Promise<void> {
    const client = new pg.Client({ connectionString: url })
    client.on('error', () => {})
    await client.connect()
    for (let count = 1; !isStopping; count++) {
      const window = Math.floor((performance.now() - startedAt) / windowMs)
      const anyone = () => patientId(window * patientsInWindow + Math.floor(Math.random() * patientsInWindow))
      const [patient, word] = [anyone(), `${number}-${count}`]
      try {
        await client.query('BEGIN')
        await client.query(release, [window])
        await client.query(enter, [patient, word])
        for (const [sql, values] of changeOf(patient, anyone(), window, word)) await client.query(sql, values)
        await client.query('COMMIT')
        commits += 1
      } catch (error) {
        // Nobody to pass it on to, or two who wait for each other.
        if (!(error instanceof pg.DatabaseError)) throw error
        await client.query('ROLLBACK')
      }
      await delay(pauseMs)
    }
    await client.end()
  }

  const running = Promise.all(Array.from({ length: sessions }, (_, number) => session(number)))
  // It is awaited by `stop`, which comes minutes later.
  running.catch(() => {})
  return {
    commits: () => commits,
    async stop() {
      isStopping = true
      await running
    },
  }
}

const reportRow = z.object({ user_id: z.string(), phone: z.string(), devices: z.array(z.string()) })
const textOf = ({ phone, devices }: z.infer<typeof reportRow>) => `${phone}: ${devices.toSorted().join(', ')}`

const inWarehouse = defineQuery({
  name: 'reports-of-patients',
  sql: `
    WITH wanted AS (SELECT toUUID(arrayJoin({users:Array(String)})) AS id)
    SELECT toString(wanted.id) AS user_id, ifNull(customer.phone, '') AS phone, worn.devices AS devices
    FROM wanted
    LEFT JOIN (SELECT id, phone FROM crm.customers FINAL) AS customer ON customer.id = wanted.id
    LEFT JOIN (
      SELECT p.customer_id AS id, groupArray(concat(toString(p.id), ' ', m.name)) AS devices
      FROM (SELECT * FROM crm.prostheses FINAL) AS p
      LEFT JOIN (SELECT * FROM crm.prosthesis_models FINAL) AS m ON m.id = p.model_id
      GROUP BY p.customer_id
    ) AS worn ON worn.id = wanted.id`,
  params: z.object({ users: z.array(z.string()) }),
  row: reportRow,
})

/** As many ids as an address has room for. */
const usersAtOnce = 200

/** What reports would say now, by user. */
export async function reportsInWarehouse(
  warehouse: Warehouse,
  users: string[],
): Promise<Map<string, string>> {
  const reports = new Map<string, string>()
  for (let start = 0; start < users.length; start += usersAtOnce) {
    const some = users.slice(start, start + usersAtOnce)
    const rows = await warehouse.query(inWarehouse, { users: some })
    for (const row of rows) reports.set(row.user_id, textOf(row))
  }
  return reports
}

/** What the reports of these must say, of those who have left too. */
export async function reportsInSource(source: pg.Client, users: string[]): Promise<Map<string, string>> {
  const { rows } = await source.query(
    `SELECT patient.id::text AS user_id, coalesce(max(c.phone), '') AS phone,
       coalesce(array_agg(p.id::text || ' ' || m.name) FILTER (WHERE p.id IS NOT NULL), '{}') AS devices
     FROM unnest($1::uuid[]) AS patient (id)
     LEFT JOIN customers c ON c.id = patient.id
     LEFT JOIN prostheses p ON p.customer_id = c.id
     LEFT JOIN prosthesis_models m ON m.id = p.model_id
     GROUP BY patient.id`,
    [users],
  )
  return new Map(rows.map((row) => reportRow.parse(row)).map((row) => [row.user_id, textOf(row)]))
}
