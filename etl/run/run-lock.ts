import type { ClientBase } from 'pg'

/**
 * The locks that let one run go at a time in the whole cluster: session advisory locks on the telemetry database,
 * which every instance of the job must reach anyhow. They fall with their connection, so that a run that died never
 * blocks the next. They cannot be had through a pooler in transaction mode.
 */
const runKey = "hashtextextended('tendon.etl.run', 0)"
/** Held around it by a part of a backfill: whoever finds the lock taken knows that it is for a short time. */
const backfillKey = "hashtextextended('tendon.etl.backfill', 0)"

export type RunLock = { state: 'taken' } | { state: 'busy'; holder: RunLockHolder | undefined }

export type RunLockHolder = { pid: number; heldForMs: number }

/** Takes the lock; waits for it when a backfill has it, which gives it up after each part. */
export async function takeRunLock(client: ClientBase, waitForBackfillMs: number): Promise<RunLock> {
  if (await tryLock(client, runKey)) return { state: 'taken' }
  const isTaken = (await isBackfillGoing(client))
    ? await waitForLock(client, waitForBackfillMs)
    : // A part may have ended between the two questions.
      await tryLock(client, runKey)
  if (isTaken) return { state: 'taken' }
  return { state: 'busy', holder: await findHolder(client) }
}

/** Takes the lock for a part of a backfill, after all that already wait for it. */
export async function waitForRunLock(client: ClientBase, waitMs: number): Promise<boolean> {
  await client.query(`SELECT pg_advisory_lock_shared(${backfillKey})`)
  return waitForLock(client, waitMs)
}

/** Ends the connection of a run that has gone on for too long. */
export async function endHolder(client: ClientBase, { pid }: RunLockHolder): Promise<boolean> {
  const { rows } = await client.query<{ ended: boolean }>('SELECT pg_terminate_backend($1, 5000) AS ended', [
    pid,
  ])
  return rows[0]?.ended === true && (await tryLock(client, runKey))
}

async function tryLock(client: ClientBase, key: string): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>(`SELECT pg_try_advisory_lock(${key}) AS locked`)
  return rows[0]?.locked === true
}

async function isBackfillGoing(client: ClientBase): Promise<boolean> {
  if (!(await tryLock(client, backfillKey))) return true
  await client.query(`SELECT pg_advisory_unlock(${backfillKey})`)
  return false
}

/** SQLSTATE of a lock that was not to be had in time (PostgreSQL, appendix A). */
const lockNotAvailable = '55P03'

async function waitForLock(client: ClientBase, waitMs: number): Promise<boolean> {
  await client.query("SELECT set_config('lock_timeout', $1, false)", [String(waitMs)])
  try {
    await client.query(`SELECT pg_advisory_lock(${runKey})`)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === lockNotAvailable) return false
    throw error
  } finally {
    await client.query("SELECT set_config('lock_timeout', '0', false)").catch(() => {})
  }
}

/** Who has the lock, and for how long its connection, which is made for a run alone, has been there. */
async function findHolder(client: ClientBase): Promise<RunLockHolder | undefined> {
  const { rows } = await client.query<RunLockHolder>(`
    SELECT activity.pid, (extract(epoch FROM now() - activity.backend_start) * 1000)::float8 AS "heldForMs"
    FROM pg_locks AS locks
    JOIN pg_stat_activity AS activity USING (pid)
    WHERE locks.locktype = 'advisory' AND locks.granted AND locks.mode = 'ExclusiveLock'
      AND locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (locks.classid::int8 << 32 | locks.objid::int8) = ${runKey}`)
  return rows[0]
}
