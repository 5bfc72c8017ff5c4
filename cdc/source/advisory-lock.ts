import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import { z } from 'zod'
import { rowsOf } from './rows-of.ts'

const pollIntervalMs = 200
const lockRow = z.object({ locked: z.boolean() })

/**
 * Runs while no other process does the same. The lock is the session's (PostgreSQL docs, "Advisory Locks"): whoever dies lets
 * go of it. Other statements may use the connection meanwhile.
 * @param name of the lock, within the database
 */
export async function withAdvisoryLock<Result>(
  client: pg.Client,
  name: string,
  signal: AbortSignal,
  run: () => Promise<Result>,
): Promise<Result> {
  const tryLock = 'SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS locked'
  while (!(await rowsOf(client, lockRow, tryLock, [name]))[0]!.locked) {
    await delay(pollIntervalMs, undefined, { signal })
  }
  try {
    return await run()
  } finally {
    // With its connection the lock is gone as well.
    await rowsOf(client, z.unknown(), 'SELECT pg_advisory_unlock(hashtextextended($1, 0))', [name]).catch(
      () => {},
    )
  }
}

/** Runs while nobody else makes the tables and the connector of a feed. */
export function withApplyLock<Result>(
  client: pg.Client,
  slotName: string,
  run: () => Promise<Result>,
  signal: AbortSignal = new AbortController().signal,
): Promise<Result> {
  return withAdvisoryLock(client, `tendon ${slotName} apply`, signal, run)
}
