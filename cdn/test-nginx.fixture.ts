import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '@tendon/platform/free-port.ts'
import type { ObjectAttributes, ObjectStore } from '@tendon/platform/object-store.ts'
import { createS3Store } from '@tendon/platform/object-store-s3.ts'
import type { SigningKeys } from '@tendon/platform/url-signature.ts'
import { vi } from 'vitest'
import { webOrigin } from './cdn-conformance.suite.ts'

/** Behind a backslash, where nginx's configuration lists the keys, these letters would be a line's end and a tab. */
const keys: SigningKeys = [
  { id: 'n2', secret: 'the-second-signing-secret-0123456789' },
  { id: 't1', secret: 'the-first-signing-secret-0123456789' },
]

/**
 * nginx as `start.sh` runs it, in front of the stack's MinIO, with a folder and a port of its own.
 * @param env as the script takes it
 */
export async function startTestNginx(env: Record<string, string> = {}) {
  const folder = env.CDN_RUN ?? (await mkdtemp(join(tmpdir(), 'tendon-cdn-')))
  const port = await freePort('127.0.0.1')
  const store = openStore()
  const put = new Set<string>()
  const child = spawn(join(import.meta.dirname, 'nginx/start.sh'), {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: {
      ...process.env,
      CDN_RUN: folder,
      CDN_LISTEN: `127.0.0.1:${port}`,
      CDN_SIGNING_KEYS: signingKeysText(keys),
      CDN_WEB_ORIGIN: webOrigin,
      ...env,
    },
  })
  let said = ''
  child.stderr.on('data', (chunk) => {
    said += chunk
  })
  child.stderr.pipe(process.stderr, { end: false })
  await vi.waitFor(() => healthy(child, join(folder, 'operations.sock')), { timeout: 20_000 })

  return {
    baseUrl: `${env.CDN_TLS_CERTIFICATE ? 'https' : 'http'}://127.0.0.1:${port}`,
    keys,
    /** As an operator has it read its files again. */
    hangUp: () => child.kill('SIGHUP'),
    folder,
    /** What the script and nginx had to say. */
    said: () => said,
    /** What was refused, failed or had to be fetched, a line each. */
    log: async () => (await readFile(join(folder, 'access.log'), 'utf8')).trim().split('\n'),
    store,
    async putObject(key: string, body: Uint8Array, attributes: ObjectAttributes): Promise<void> {
      put.add(key)
      await store.put(key, body, attributes)
    },
    /** At once and with all its processes, as when memory or power is gone. */
    async kill(): Promise<void> {
      const ended = once(child, 'exit')
      for (const pid of await withDescendants(child.pid!)) process.kill(pid, 'SIGKILL')
      await ended
    },
    async close(): Promise<void> {
      const ended = once(child, 'exit')
      if (child.kill('SIGTERM')) await ended
      for (const key of put) await store.delete(key)
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function withDescendants(pid: number): Promise<number[]> {
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).split(' ').filter(Boolean)
  return [pid, ...(await Promise.all(children.map((child) => withDescendants(Number(child))))).flat()]
}

/** As it stands in the environment, or in a file. */
export const signingKeysText = (signingKeys: SigningKeys) =>
  signingKeys.map(({ id, secret }) => `${id}:${secret}`).join(',')

async function healthy(child: ChildProcess, socketPath: string): Promise<void> {
  if (child.exitCode !== null) throw new Error('nginx did not start')
  const asked = request({ socketPath, path: '/healthz', agent: false })
  const [answer] = await once(asked.end(), 'response')
  answer.resume()
  if (answer.statusCode !== 200) throw new Error(`nginx answers ${answer.statusCode}`)
}

function openStore(): ObjectStore {
  return createS3Store({
    endpoint: fromEnvironment('S3_ENDPOINT'),
    region: fromEnvironment('S3_REGION'),
    bucket: 'tendon',
    accessKeyId: fromEnvironment('S3_ACCESS_KEY_ID'),
    secretAccessKey: fromEnvironment('S3_SECRET_ACCESS_KEY'),
    forcePathStyle: true,
  })
}

export function fromEnvironment(name: string): string {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set: this suite needs the stack's MinIO`)
  return value
}
