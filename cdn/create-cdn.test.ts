import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { listen } from '@tendon/platform/http-server.ts'
import { createLog } from '@tendon/platform/log.ts'
import { createMetrics } from '@tendon/platform/metrics.ts'
import { createFolderStore } from '@tendon/platform/object-store-folder.ts'
import { createS3Store } from '@tendon/platform/object-store-s3.ts'
import { type SigningKeys, signPath } from '@tendon/platform/url-signature.ts'
import { Hono } from 'hono'
import { expect, onTestFinished, test } from 'vitest'
import { belowPrefix } from './below-prefix.ts'
import { cdnConformanceSuite, webOrigin } from './cdn-conformance.suite.ts'
import { createCdn } from './create-cdn.ts'
import { malformedRequestsSuite } from './malformed-requests.suite.ts'

const keys: SigningKeys = [
  { id: 'k2', secret: randomUUID() },
  { id: 'k1', secret: randomUUID() },
]
const silentLog = createLog({ service: 'cdn', level: 'fatal' })

cdnConformanceSuite('embedded CDN', startEmbedded)
malformedRequestsSuite('embedded CDN', startEmbedded)

async function startEmbedded() {
  const { store, removeFolder } = await openStore()
  const { app } = createCdn({ store, keys, log: silentLog, metrics: createMetrics('cdn'), webOrigin })
  const server = await listen(app, { port: 0, log: silentLog })
  return {
    baseUrl: server.url,
    keys,
    putObject: store.put,
    async close() {
      await server.close()
      await removeFolder()
    },
  }
}

cdnConformanceSuite('embedded CDN below a prefix of the public port', async () => {
  const { store, removeFolder } = await openStore()
  const { app } = createCdn({ store, keys, log: silentLog, metrics: createMetrics('cdn'), webOrigin })
  const mounted = new Hono().mount('/cdn', app.fetch, { replaceRequest: belowPrefix('/cdn') })
  const server = await listen(mounted, { port: 0, log: silentLog })
  return {
    baseUrl: `${server.url}/cdn`,
    keys,
    putObject: store.put,
    async close() {
      await server.close()
      await removeFolder()
    },
  }
})

test('names the time left of the link, by its own clock', async () => {
  const { store, removeFolder } = await openStore()
  onTestFinished(removeFolder)
  const nowMs = 1_800_000_000_000
  const { app } = createCdn({ store, keys, log: silentLog, metrics: createMetrics('cdn'), now: () => nowMs })
  await store.put('reports/a.json', Buffer.from('{}'), { contentType: 'application/json' })
  const link = (ttlS: number) =>
    signPath({ method: 'GET', path: '/reports/a.json', expiresAtS: nowMs / 1000 + ttlS, keys })

  expect((await app.request(link(1))).headers.get('cache-control')).toBe('private, max-age=1, immutable')
  expect((await app.request(link(0))).status).toBe(403)
})

test('has no routes but for objects', async () => {
  const { store, removeFolder } = await openStore()
  onTestFinished(removeFolder)
  const { app } = createCdn({ store, keys, log: silentLog, metrics: createMetrics('cdn') })
  for (const path of ['/', '/healthz', '/readyz', '/metrics', '/reports'])
    expect((await app.request(path)).status, path).toBe(403)
})

test('counts and logs a refused link without what would make it work', async () => {
  const { store, removeFolder } = await openStore()
  onTestFinished(removeFolder)
  const lines: string[] = []
  const log = createLog({ service: 'cdn' }, sink(lines))
  const metrics = createMetrics('cdn')
  const { app } = createCdn({ store, keys, log, metrics, now: () => 1_800_000_000_000 })
  const link = signPath({ method: 'GET', path: '/reports/a.json', expiresAtS: 1_799_999_999, keys })
  const answer = await app.request(link)

  const requestId = answer.headers.get('x-request-id')
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { msg: 'link refused', reason: 'expired', path: '/reports/a.json', request_id: requestId },
    { msg: 'request', status: 403, path: '/reports/a.json', request_id: requestId },
  ])
  expect(lines.join('')).not.toContain(link.slice(-43))
  const scraped = (await metrics.expose()).body
  expect(scraped).toContain('tendon_cdn_refused_links_total{reason="expired"} 1')
  expect(scraped).toMatch(/tendon_cdn_http_request_duration_seconds_count\{method="GET",.*status="403"\} 1/)
})

test('answers 503 while the store is away, and only to who has a link', async () => {
  const store = createS3Store({
    endpoint: 'http://127.0.0.1:1',
    region: 'us-east-1',
    bucket: 'reports',
    accessKeyId: 'id',
    secretAccessKey: 'secret',
    forcePathStyle: true,
  })
  const { app } = createCdn({ store, keys, log: silentLog, metrics: createMetrics('cdn') })
  expect((await app.request('/reports/a.json')).status).toBe(403)
  const link = signPath({
    method: 'GET',
    path: '/reports/a.json',
    expiresAtS: Math.floor(Date.now() / 1000) + 60,
    keys,
  })
  const answer = await app.request(link)
  expect(answer.status).toBe(503)
  expect(answer.headers.get('cache-control')).toBe('no-store')
  expect(await answer.json()).toMatchObject({ code: 'TENDON-PLATFORM-011' })
})

async function openStore() {
  const path = await mkdtemp(join(tmpdir(), 'tendon-cdn-'))
  return { store: createFolderStore(path), removeFolder: () => rm(path, { recursive: true }) }
}

function sink(lines: string[]): Writable {
  return new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk))
      done()
    },
  })
}
