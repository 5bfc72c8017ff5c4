import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { nobody } from '../derive/known-tables.ts'

/**
 * Tables whose rows many sessions fight for: a key, a foreign key and a unique column to wait on, values that an UPDATE
 * does not send, the whole former row in the WAL and the key alone. Nothing is ever deleted from `journal`, to which
 * every transaction adds a row: a change that was lost is a row that is missing.
 */
export const hammerTables = `
  CREATE TABLE seats (id integer PRIMARY KEY, holder text, body text);
  ALTER TABLE seats ALTER body SET STORAGE EXTERNAL;
  CREATE TABLE whole (LIKE seats INCLUDING ALL);
  ALTER TABLE whole REPLICA IDENTITY FULL;
  CREATE TABLE guests (id integer PRIMARY KEY, seat integer REFERENCES seats ON DELETE CASCADE, code text UNIQUE);
  CREATE TABLE journal (session integer, number integer, PRIMARY KEY (session, number))`

export const hammerEntries = ['seats', 'whole', 'guests', 'journal'].map((name) => ({
  name: `public.${name}`,
  users: nobody,
}))

const keys = 90
/** A few keys are fought for at a time, and others a moment later, so that many end in every way there is. */
const windowKeys = 3
const windowMs = 60

export type Hammer = {
  /** Transactions committed so far. */
  commits(): number
  /** Lets the transactions under way end. */
  stop(): Promise<void>
}

let sessionsMade = 0

/**
 * Several sessions that change the tables of a database, and go on after it was away.
 * @param pauseMs of each session after each transaction
 */
export function startHammer(url: string, { sessions = 8, pauseMs = 0 } = {}): Hammer {
  let isStopping = false
  let commits = 0
  const startedAt = performance.now()

  async function session(number: number): Promise<void> {
    let count = 0
    while (!isStopping) {
      const client = new pg.Client({ connectionString: url })
      client.on('error', () => {})
      try {
        await client.connect()
        await client.query(`SET deadlock_timeout = '20ms'; SET lock_timeout = '500ms'`)
        while (!isStopping) {
          count += 1
          const window = Math.floor((performance.now() - startedAt) / windowMs) * windowKeys
          const key = (window + Math.floor(Math.random() * windowKeys)) % keys
          const isCommitted = await transact(client, number, count, key)
          if (isCommitted) commits += 1
          if (pauseMs > 0) await delay(pauseMs)
        }
      } catch {
        await delay(100)
      } finally {
        await client.end().catch(() => {})
      }
    }
  }

  const running = Promise.all(Array.from({ length: sessions }, () => session(++sessionsMade)))
  return {
    commits: () => commits,
    async stop() {
      isStopping = true
      await running
    },
  }
}

/** @returns false when PostgreSQL refused it, as it must now and then */
async function transact(client: pg.Client, session: number, count: number, key: number): Promise<boolean> {
  const table = Math.random() < 0.5 ? 'seats' : 'whole'
  const value = `'${session}-${count}'`
  const statements = changesOf(table, key, value)
  try {
    await client.query('BEGIN')
    for (const statement of statements) {
      await client.query(statement)
      if (statements.length > 1 && Math.random() < 0.3) await delay(2)
    }
    await client.query(`INSERT INTO journal VALUES (${session}, ${count}); COMMIT`)
    return true
  } catch (error) {
    if (!(error instanceof pg.DatabaseError) || error.severity === 'FATAL') throw error
    await client.query('ROLLBACK')
    return false
  }
}

function changesOf(table: string, key: number, value: string): string[] {
  const body = Math.random() < 0.2 ? `repeat(${value}, 600)` : 'NULL'
  const insert = `INSERT INTO ${table} VALUES (${key}, ${value}, ${body})`
  const update = `UPDATE ${table} SET holder = ${value} WHERE id = ${key}`
  const remove = `DELETE FROM ${table} WHERE id = ${key}`
  const choice = Math.random()
  if (choice < 0.35) return [insert]
  if (choice < 0.5) return [remove]
  if (choice < 0.68) return [update, remove]
  if (choice < 0.76) return [update]
  if (choice < 0.82) return [`UPDATE ${table} SET id = ${(key + 1) % keys} WHERE id = ${key}`]
  if (choice < 0.88) return [remove, insert, update]
  if (choice < 0.995) {
    const guest = `INSERT INTO guests SELECT ${key}, id, '${key % 7}' FROM seats WHERE id = ${key}`
    return [`DELETE FROM guests WHERE code = '${key % 7}'`, guest]
  }
  return ['TRUNCATE guests']
}
