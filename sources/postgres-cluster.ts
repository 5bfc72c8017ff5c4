import { randomBytes } from 'node:crypto'
import { chown, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { sourcesErrors } from './errors.ts'
import { findPostgresUser, type PostgresBinaries, spawnPostgresProgram } from './postgres-binaries.ts'
import type { UnprivilegedUser } from './unprivileged-user.ts'

export type PostgresCluster = {
  /** PGDATA. */
  clusterPath: string
  password: string
  user: UnprivilegedUser | undefined
}

const unfinishedPrefix = 'cluster.new-'

/**
 * Opens the database cluster under `dataPath`, creating it when there is none: `cluster/` is PGDATA, `password`
 * (0600) the superuser's random password.
 *
 * initdb works in `cluster.new-…/`, which is renamed when it is complete: that name is the mark of an initdb that
 * was killed half way, and it starts over.
 */
export async function openCluster(binaries: PostgresBinaries, dataPath: string): Promise<PostgresCluster> {
  await mkdir(dataPath, { recursive: true })
  const clusterPath = join(dataPath, 'cluster')
  const passwordPath = join(dataPath, 'password')
  const owner = await stat(clusterPath).catch(() => undefined)
  const user = await findPostgresUser(binaries, dataPath, owner)
  if (owner === undefined) await createCluster({ binaries, dataPath, clusterPath, passwordPath, user })
  return { clusterPath, password: (await readFile(passwordPath, 'utf8')).trim(), user }
}

async function createCluster(creation: {
  binaries: PostgresBinaries
  dataPath: string
  clusterPath: string
  passwordPath: string
  user: UnprivilegedUser | undefined
}): Promise<void> {
  const { binaries, dataPath, clusterPath, passwordPath, user } = creation
  await removeUnfinished(dataPath)
  // A name of its own each time: an initdb whose starter was killed may still be writing into its folder.
  const unfinishedPath = await mkdtemp(join(dataPath, unfinishedPrefix))
  await writeFile(passwordPath, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600 })
  if (user !== undefined)
    await Promise.all([unfinishedPath, passwordPath].map((path) => chown(path, user.uid, user.gid)))
  await runInitdb(binaries, unfinishedPath, passwordPath, user)
  await rename(unfinishedPath, clusterPath)
}

/** What cannot be removed because it is still written to goes the next time. */
async function removeUnfinished(dataPath: string): Promise<void> {
  const leftovers = (await readdir(dataPath)).filter((name) => name.startsWith(unfinishedPrefix))
  await Promise.all(
    leftovers.map((name) => rm(join(dataPath, name), { recursive: true, force: true }).catch(() => {})),
  )
}

async function runInitdb(
  { initdb }: PostgresBinaries,
  path: string,
  passwordPath: string,
  user: UnprivilegedUser | undefined,
): Promise<void> {
  // The builtin C.UTF-8 sorts the same on every machine and needs no locale of the operating system.
  const child = spawnPostgresProgram(
    initdb,
    [
      `--pgdata=${path}`,
      '--username=postgres',
      `--pwfile=${passwordPath}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale=C',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--no-instructions',
    ],
    { user, cwd: path },
  )
  const closed = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  child.stdout?.resume()
  const [code, complaint] = await Promise.all([closed, child.stderr ? text(child.stderr) : ''])
  if (code !== 0) throw sourcesErrors.initdbFailed(`initdb ended with code ${code}: ${complaint.trim()}`)
}
