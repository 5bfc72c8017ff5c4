import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { embeddedErrors } from './errors.ts'

/** An empty database that is never written. */
export const lockName = 'lock.db'

/** `SQLITE_BUSY` (https://www.sqlite.org/rescode.html#busy). */
const busy = 5

/** Long enough for somebody who only asks whether the folder is held. */
const waitMs = 500

/** A connection that nobody refers to any more would be collected, and its lock with it. */
const held = new Set<DatabaseSync>()

/**
 * Holds the folder until `release`, or until this process dies, however it dies.
 *
 * The lock is SQLite's (https://www.sqlite.org/lockingv3.html): one of the kernel's on a file, which it takes from a
 * dead process by itself. A socket or a file with a process id would have to be found stale and replaced, and two
 * processes that do so at once both believe that they hold the folder.
 * @throws TENDON-EMBEDDED-001 when it is held
 */
export function lockFolder(folder: string): { release(): void } {
  const database = new DatabaseSync(join(folder, lockName), { timeout: waitMs })
  try {
    // Without a journal file beside it: nothing is ever written that would need one.
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    if (!isBusy(error)) throw error
    throw embeddedErrors.dataFolderHeld(`Another Tendon is running on ${folder}.`)
  }
  held.add(database)
  return {
    release() {
      if (held.delete(database)) database.close()
    },
  }
}

/** Whether a process holds the folder now. */
export function isFolderHeld(folder: string): boolean {
  const file = join(folder, lockName)
  if (!existsSync(file)) return false
  const database = new DatabaseSync(file, { readOnly: true })
  try {
    database.exec('SELECT * FROM sqlite_schema')
    return false
  } catch (error) {
    if (!isBusy(error)) throw error
    return true
  } finally {
    database.close()
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === busy
}
