import { randomUUID } from 'node:crypto'
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

const patients = Array.from({ length: 100 }, () => randomUUID())
const modelIds = [1, 2, 3]

const enter = `
  INSERT INTO customers (id, full_name, email, phone, date_of_birth, address, locale, time_zone)
  VALUES ($1::uuid, 'Patient', $1::uuid::text || '@example.com', $2, '1980-01-02', '{}', 'de', 'Europe/Berlin')
  ON CONFLICT DO NOTHING`
const fit = `
  INSERT INTO prostheses (serial_number, chip_id, customer_id, model_id, side, firmware_version, issued_at)
  VALUES ($2, $2, $1, $3, 'left', '1.0.0', '2024-01-01')`
const oneOf = '(SELECT id FROM prostheses WHERE customer_id = $1 ORDER BY random() LIMIT 1)'

const anyOf = <Item>(items: readonly Item[]): Item => items[Math.floor(Math.random() * items.length)]!

/** What happens at a clinic: the statements of one transaction, most often of one patient. */
function changeOf(patient: string, word: string): [sql: string, values: unknown[]][] {
  const choice = Math.random()
  if (choice < 0.4) return [['UPDATE customers SET phone = $2 WHERE id = $1', [patient, word]]]
  if (choice < 0.6) return [[fit, [patient, word, anyOf(modelIds)]]]
  const passOn = `UPDATE prostheses SET customer_id = $2 WHERE id = ${oneOf}`
  if (choice < 0.75) return [[passOn, [patient, anyOf(patients)]]]
  if (choice < 0.9) return [[`DELETE FROM prostheses WHERE id = ${oneOf}`, [patient]]]
  if (choice < 0.92) {
    const parts = ['prostheses WHERE customer_id', 'customers WHERE id']
    return parts.map((part) => [`DELETE FROM ${part} = $1`, [patient]])
  }
  if (choice < 0.99) return [[enter, [patient, word]]]
  return [['UPDATE prosthesis_models SET name = $2 WHERE id = $1', [anyOf(modelIds), word]]]
}

export type Clinic = {
  /** Transactions committed so far. */
  commits(): number
  stop(): Promise<void>
}

/** Enters models and patients, and goes on changing them and what they wear. */
export async function startClinic(url: string, { sessions = 4, pauseMs = 20 } = {}): Promise<Clinic> {
  const clients = await Promise.all(
    Array.from({ length: sessions }, async () => {
      const client = new pg.Client({ connectionString: url })
      client.on('error', () => {})
      await client.connect()
      return client
    }),
  )
  for (const id of modelIds) {
    await clients[0]!.query(
      `INSERT INTO prosthesis_models VALUES ($1::integer, $1::integer::text, 'hand', 1, 1.5, 2.50, '{}', '2024-01-01')`,
      [id],
    )
  }
  for (const patient of patients) await clients[0]!.query(enter, [patient, 'new'])
  let commits = 0
  let isStopping = false

  async function session(client: pg.Client, number: number): Promise<void> {
    for (let count = 1; !isStopping; count++) {
      try {
        await client.query('BEGIN')
        for (const [sql, values] of changeOf(anyOf(patients), `${number}-${count}`)) {
          await client.query(sql, values)
        }
        await client.query('COMMIT')
        commits += 1
      } catch (error) {
        // A patient who has just left, or two who wait for each other.
        if (!(error instanceof pg.DatabaseError)) throw error
        await client.query('ROLLBACK')
      }
      await delay(pauseMs)
    }
    await client.end()
  }

  const running = Promise.all(clients.map(session))
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

/** What reports would say now, by user. */
export async function reportsInWarehouse(
  warehouse: Warehouse,
  users: string[],
): Promise<Map<string, string>> {
  const rows = await warehouse.query(inWarehouse, { users })
  return new Map(rows.map((row) => [row.user_id, textOf(row)]))
}

/** What the reports of all patients must say, those who have left included. */
export async function reportsInSource(source: pg.Client): Promise<Map<string, string>> {
  const { rows } = await source.query(
    `SELECT patient.id::text AS user_id, coalesce(max(c.phone), '') AS phone,
       coalesce(array_agg(p.id::text || ' ' || m.name) FILTER (WHERE p.id IS NOT NULL), '{}') AS devices
     FROM unnest($1::uuid[]) AS patient (id)
     LEFT JOIN customers c ON c.id = patient.id
     LEFT JOIN prostheses p ON p.customer_id = c.id
     LEFT JOIN prosthesis_models m ON m.id = p.model_id
     GROUP BY patient.id`,
    [patients],
  )
  return new Map(rows.map((row) => reportRow.parse(row)).map((row) => [row.user_id, textOf(row)]))
}
