import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { TestWarehouse } from './test-warehouse.fixture.ts'

export type ServiceProcess = { child: ChildProcess; url: string }

/** The service as a process of its own, which the test ends. */
export async function startServiceProcess(options: {
  warehouse: TestWarehouse
  issuer: string
  env?: Record<string, string>
}): Promise<ServiceProcess> {
  const { warehouse, issuer, env } = options
  const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts')], {
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
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  // The pipe is read to its end, so that the process never waits for room in it.
  const url = await new Promise<string>((resolve, reject) => {
    child.once('exit', () => reject(new Error('the process ended before it was ready')))
    createInterface({ input: child.stdout }).on('line', (line) => {
      const { msg, url } = JSON.parse(line)
      if (msg === 'ready') resolve(url)
    })
  })
  return { child, url }
}
