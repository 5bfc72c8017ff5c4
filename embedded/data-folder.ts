import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { TendonError } from '@tendon/platform/errors.ts'
import { stopOrphanedPostmaster } from '@tendon/sources/orphaned-postmaster.ts'
import { z } from 'zod'
import { embeddedErrors } from './errors.ts'
import { lockFolder, lockName } from './folder-lock.ts'

/**
 * Secrets of this installation, made once and kept: after a restart signed URLs are still good, the services know
 * each other, and sessions that outlive the process (with REDIS_URL; in memory they do not) can be decrypted.
 */
const secretsShape = z.object({
  /** As the bff reads it: `<id>:<32 bytes in base64>`. */
  sessionEncryptionKeys: z.string(),
  /** As reports-service and the CDN read it: `<id>:<secret>`. */
  cdnSigningKeys: z.string(),
  clientSecrets: z.object({ bff: z.string(), cdc: z.string(), etl: z.string() }),
})
export type Secrets = z.infer<typeof secretsShape>

export type DataFolder = {
  path: string
  secrets: Secrets
  release(): Promise<void>
}

/** Marks a folder as ours, so that `--reset` never empties a stranger's. */
const marker = 'tendon.json'
/** The first file of a new folder, until it is whole. */
const unfinishedMarker = `${marker}.new`

/**
 * Takes the folder for this process, until `release` or its death, however it dies.
 * @throws TENDON-EMBEDDED-001 when another process holds it, -003 when it is not a data folder, -008 when it cannot be written,
 *   or its marker cannot be read
 */
export async function openDataFolder(path: string, options: { reset: boolean }): Promise<DataFolder> {
  const absolute = resolve(path)
  try {
    // Before the lock, because nothing is made in a stranger's folder, and under it, because only then it stays so.
    await refuseForeign(absolute)
    await makeFolder(absolute)
    const lock = lockFolder(absolute)
    try {
      await refuseForeign(absolute)
      if (options.reset) await empty(absolute)
      return { path: absolute, secrets: await keptSecrets(absolute), release: async () => lock.release() }
    } catch (error) {
      lock.release()
      throw error
    }
  } catch (error) {
    if (error instanceof TendonError) throw error
    throw embeddedErrors.dataFolderUnusable(`${absolute} cannot be used as a data folder.`, { cause: error })
  }
}

async function refuseForeign(folder: string): Promise<void> {
  const names = existsSync(folder) ? await contents(folder) : []
  // A first start that was killed at once has left its unfinished marker, and nothing else.
  const isOurs = names.includes(marker) || names.every((name) => name === unfinishedMarker)
  if (isOurs) return
  const why = names.includes('tendon.log')
    ? `a tendon.log and no ${marker}, by which Tendon knows its own: put that back from a backup, it holds the keys of sessions and links`
    : 'files in it that Tendon did not make'
  throw embeddedErrors.dataFolderForeign(`${folder} has ${why}.`)
}

/**
 * `recursive` says ENOENT below a file system that cannot be written, and in one that takes no folders (/proc) comes to no end
 * (Node 26).
 */
async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o700 })
  } catch (error) {
    const code = error instanceof Error && 'code' in error && error.code
    if (code === 'EEXIST') return
    if (code !== 'ENOENT' || existsSync(dirname(folder))) throw error
    await makeFolder(dirname(folder))
    await mkdir(folder, { mode: 0o700 })
  }
}

async function contents(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name !== lockName)
}

/** The marker goes last: until then the folder is known as ours, also to the start after one that was killed here. */
async function empty(folder: string): Promise<void> {
  for (const name of await contents(folder)) if (name !== marker) await removePart(join(folder, name))
  await rm(join(folder, marker), { force: true })
}

/** A database that a killed Tendon left running would go on writing into the folder under its successor. */
async function removePart(path: string): Promise<void> {
  const cluster = join(path, 'cluster')
  if (existsSync(cluster)) await stopOrphanedPostmaster(await realpath(cluster))
  await rm(path, { recursive: true })
}

async function keptSecrets(folder: string): Promise<Secrets> {
  const file = join(folder, marker)
  if (existsSync(file)) return readSecrets(file)
  const secrets = makeSecrets()
  // Written whole or not at all: a half-written file would lock the folder's owner out of their data.
  const unfinished = join(folder, unfinishedMarker)
  await writeFile(unfinished, JSON.stringify(secrets), { mode: 0o600 })
  await rename(unfinished, file)
  return secrets
}

async function readSecrets(file: string): Promise<Secrets> {
  try {
    return secretsShape.parse(JSON.parse(await readFile(file, 'utf8')))
  } catch (error) {
    throw embeddedErrors.dataFolderUnusable(`${file} cannot be read.`, { cause: error })
  }
}

export function makeSecrets(): Secrets {
  const secret = () => randomBytes(32).toString('base64url')
  return {
    sessionEncryptionKeys: `k1:${randomBytes(32).toString('base64')}`,
    cdnSigningKeys: `k1:${secret()}`,
    clientSecrets: { bff: secret(), cdc: secret(), etl: secret() },
  }
}
