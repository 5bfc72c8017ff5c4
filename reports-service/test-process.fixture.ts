import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { TestWarehouse } from './test-warehouse.fixture.ts'

export type ServiceProcess = {
  child: ChildProcess
  url: string
  /** Resolves when so many requests for this path have arrived since it was started. */
  arrived(path: string, count: number): Promise<void>
}

/** The service as a process of its own, which the test ends. */
export async function startServiceProcess(options: {
  warehouse: TestWarehouse
  issuer: string
  env?: Record<string, string>
}): Promise<ServiceProcess> {
  const { warehouse, issuer, env } = options
  const counting = new URL('./count-requests.fixture.ts', import.meta.url).href
  const child = spawn(process.execPath, ['--import', counting, join(import.meta.dirname, 'main.ts')], {
    env: {
      PORT: '0',
      CLICKHOUSE_URL: warehouse.server.url,
      CLICKHOUSE_PASSWORD: warehouse.server.password,
      OBJECTS_PATH: join(warehouse.folder, 'objects'),
      OIDC_ISSUER: issuer,
      CDN_BASE_URL: 'http://cdn.test/cdn',
      CDN_SIGNING_KEYS: 'k1:a-secret-of-at-least-32-characters',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  const counts = new Map<string, number>()
  child.on('message', (path: string) => counts.set(path, (counts.get(path) ?? 0) + 1))
  // The pipe is read to its end, so that the process never waits for room in it.
  const url = await new Promise<string>((resolve, reject) => {
    child.once('exit', () => reject(new Error('the process ended before it was ready')))
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const { msg, url } = JSON.parse(line)
      if (msg === 'ready') resolve(url)
    })
  })
  return {
    child,
    url,
    async arrived(path, count) {
      while ((counts.get(path) ?? 0) < count) await once(child, 'message')
    },
  }
}
