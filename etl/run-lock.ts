import type { ClientBase } from 'pg'

/**
 * Takes the lock that lets one run go at a time in the whole cluster: a session advisory lock on the telemetry
 * database, which every instance of the job must reach anyhow. It falls with its connection, so that a run that
 * died never blocks the next. It cannot be had through a pooler in transaction mode.
 * @returns false when another run holds it
 */
export async function tryRunLock(client: ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>(
    "SELECT pg_try_advisory_lock(hashtextextended('tendon.etl.run', 0)) AS locked",
  )
  return rows[0]?.locked === true
}
