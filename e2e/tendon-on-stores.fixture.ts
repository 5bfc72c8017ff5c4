import { signingKeysText, startTestNginx } from '@tendon/cdn/test-nginx.fixture.ts'
import { freePort } from '@tendon/platform/free-port.ts'
import pg from 'pg'
import { startTestTendon, type TestTendon } from './test-tendon.fixture.ts'

const attached = ['REDIS_URL', 'S3_ENDPOINT', 'S3_REGION', 'S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY']

/**
 * The product on the stack's Redis and MinIO, behind an nginx of its own that lets its pages read: three origins, as a
 * browser meets them. `stop` takes its objects along.
 */
export async function startTendonOnStores(): Promise<TestTendon & { cdnUrl: string }> {
  const stores = Object.fromEntries(attached.map((name) => [name, process.env[name] ?? '']))
  const missing = attached.filter((name) => !stores[name])
  if (missing.length > 0) throw new Error(`${missing} is not set: this suite needs Redis and MinIO`)
  const port = await freePort('127.0.0.1')
  const cdn = await startTestNginx({ CDN_WEB_ORIGIN: `http://localhost:${port}` })
  const env = { ...stores, CDN_BASE_URL: cdn.baseUrl, CDN_SIGNING_KEYS: signingKeysText(cdn.keys) }
  const tendon = await startTestTendon({ env: { PORT: String(port), ...env } }).catch(async (error) => {
    await cdn.close()
    throw error
  })

  async function stop(): Promise<void> {
    const customers = await customersOf(tendon.settings.CRM_DATABASE_URL)
    await tendon.stop()
    for await (const { key } of cdn.store.list('reports/')) {
      const [, report, customer = ''] = key.split('/')
      if (report === 'fleet' || customers.has(customer)) await cdn.store.delete(key)
    }
    await cdn.close()
  }
  return { ...tendon, cdnUrl: cdn.baseUrl, stop }
}

async function customersOf(connectionString: string | undefined): Promise<Set<string>> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  const { rows } = await client.query<{ id: string }>('SELECT id FROM customers')
  await client.end()
  return new Set(rows.map(({ id }) => id))
}
