import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { stopOrphanedPostmaster } from '@tendon/sources/orphaned-postmaster.ts'
import { z } from 'zod'
import { embeddedErrors } from './errors.ts'

/** Secrets of this installation, made once and kept: a restart must not log anyone out or break a signed URL. */
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
const lockName = 'lock.sock'

/**
 * Takes the folder for this process, until `release` or its death, however it dies.
 * @throws TENDON-EMBEDDED-001 when another process holds it, TENDON-EMBEDDED-003 when it is not a data folder
 */
export async function openDataFolder(path: string, options: { reset: boolean }): Promise<DataFolder> {
  const absolute = resolve(path)
  const existed = existsSync(absolute)
  await mkdir(absolute, { recursive: true, mode: 0o700 })
  const foreign = existed && !existsSync(join(absolute, marker)) && (await contents(absolute)).length > 0
  if (foreign) {
    throw embeddedErrors.dataFolderForeign(`${absolute} has files in it that Tendon did not make.`)
  }
  const release = await lockFolder(absolute)
  if (options.reset) {
    for (const name of await contents(absolute)) await removePart(join(absolute, name))
  }
  return { path: absolute, secrets: await keptSecrets(absolute), release }
}

/** A database that a killed Tendon left running would go on writing into the folder under its successor. */
async function removePart(path: string): Promise<void> {
  const cluster = join(path, 'cluster')
  if (existsSync(cluster)) await stopOrphanedPostmaster(await realpath(cluster))
  await rm(path, { recursive: true })
}

async function contents(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name !== lockName)
}

async function keptSecrets(folder: string): Promise<Secrets> {
  const file = join(folder, marker)
  if (existsSync(file)) return secretsShape.parse(JSON.parse(await readFile(file, 'utf8')))
  const secret = () => randomBytes(32).toString('base64url')
  const secrets = {
    sessionEncryptionKeys: `k1:${randomBytes(32).toString('base64')}`,
    cdnSigningKeys: `k1:${secret()}`,
    clientSecrets: { bff: secret(), cdc: secret(), etl: secret() },
  }
  // Written whole or not at all: a half-written file would lock the folder's owner out of their data.
  await writeFile(`${file}.new`, JSON.stringify(secrets), { mode: 0o600 })
  await rename(`${file}.new`, file)
  return secrets
}

/** Longest path a Unix socket may have, on the strictest of our platforms (macOS: 104 bytes with its end). */
const maxSocketPathBytes = 100

/**
 * A lock that the kernel releases when its holder dies: a listening Unix socket. One left behind by a killed
 * process refuses connections and is replaced.
 */
async function lockFolder(folder: string): Promise<() => Promise<void>> {
  const inFolder = join(folder, lockName)
  const name = createHash('sha256').update(folder).digest('hex').slice(0, 24)
  const fits = Buffer.byteLength(inFolder) <= maxSocketPathBytes
  const socketPath = fits ? inFolder : join(tmpdir(), `tendon-${name}.sock`)
  if (await answers(socketPath)) {
    throw embeddedErrors.dataFolderHeld(`Another Tendon is running on ${folder}.`)
  }
  await rm(socketPath, { force: true })
  const server = createServer((socket) => socket.destroy())
  await new Promise<void>((listening, failed) => {
    server.once('error', failed)
    server.listen(socketPath, listening)
  })
  server.unref()
  return () => new Promise((closed) => server.close(() => closed()))
}

function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
