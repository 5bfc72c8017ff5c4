import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { createS3Store } from '@tendon/platform/object-store-s3.ts'
import { platformErrors } from '@tendon/platform/platform-errors.ts'
import { expect, onTestFinished, test, vi } from 'vitest'
import { askRaw, expectProblem } from './cdn-conformance.suite.ts'
import { cdnErrors } from './errors.ts'
import { makeCertificate } from './test-certificate.fixture.ts'
import { startNameServer } from './test-name-server.fixture.ts'
import { fromEnvironment, startTestNginx } from './test-nginx.fixture.ts'
import { behindDoor, json } from './test-store-door.fixture.ts'

test('the first answer, from the store, has no other headers than those from the file later', async () => {
  const { put, ask, door, nginx } = await behindDoor()
  // As reports-service does at each start; MinIO then says of each object when it will go.
  expect(await nginx.store.expireAfter('reports/', 7)).toBe(true)
  await put('bare.json', Buffer.from('{}'))
  door.headers = {
    'x-amz-server-side-encryption': 'AES256',
    'x-amz-meta-of': 'somebody',
    expires: '0',
    'cache-control': 'public',
  }
  const headers = async () => {
    const { status, headers } = await ask('bare.json')
    const { date, 'cache-control': cacheControl, ...rest } = headers
    expect([status, cacheControl]).toEqual([200, expect.stringMatching(/^private, max-age=/)])
    return rest
  }
  const first = await headers()
  expect(first.server).toBe('nginx')
  expect(await headers()).toEqual(first)
})

test('each kind of object becomes a file, and what is of no known kind stays what it is', async () => {
  const { link, ask, nginx } = await behindDoor()
  const csv = 'text/csv; charset=utf-8'
  for (const [name, contentType, contentEncoding, stored] of [
    ['plain.json', 'application/json', undefined, 'plain.json'],
    ['packed.json', 'application/json', 'gzip', 'packed.json.gz'],
    ['plain.csv', csv, undefined, 'plain.csv'],
    ['packed.csv', csv, 'gzip', 'packed.csv.gz'],
    ['table.parquet', 'application/vnd.apache.parquet', undefined, 'table.parquet'],
    ['other.json', 'application/json', 'br', 'other.json.unknown'],
  ] as const) {
    const body = contentEncoding === 'gzip' ? gzipSync(name) : Buffer.from(name)
    await nginx.putObject(link(name).slice(1).split('?')[0]!, body, { contentType, contentEncoding })
    for (const _ of ['from the store', 'and again', 'and again']) {
      const answer = await ask(name, 'GET', { 'accept-encoding': 'gzip, br' })
      expect([answer.status, answer.headers['content-encoding']], name).toEqual([200, contentEncoding])
      expect(answer.body, name).toEqual(body)
    }
    const kept = await readdir(join(nginx.folder, 'store'))
    expect(
      kept.filter((file) => file.endsWith(stored)),
      kept.join(),
    ).toHaveLength(1)
  }
})

test('killed (-9), it starts again where it was, and serves nothing of which only the name was written', async () => {
  const { put, ask, link, nginx } = await behindDoor()
  await put('whole.json', Buffer.from('"whole"'))
  await put('torn.json', Buffer.from('"torn"'))
  for (const name of ['whole.json', 'torn.json']) expect((await ask(name)).status).toBe(200)
  await nginx.kill()
  const store = join(nginx.folder, 'store')
  const kept = await readdir(store)
  await truncate(join(store, kept.find((name) => name.endsWith('torn.json'))!))
  const again = await startTestNginx({ CDN_RUN: nginx.folder })
  onTestFinished(() => again.close())
  for (const name of ['whole', 'torn']) {
    const { status, body } = await askRaw(again.baseUrl, link(`${name}.json`), 'GET', {})
    expect([status, body.toString()]).toEqual([200, `"${name}"`])
  }
})

test('a second one is not started in the folder of one that runs, which goes on', async () => {
  const { put, ask, nginx } = await behindDoor()
  const again = promisify(execFile)(join(import.meta.dirname, 'nginx/start.sh'), {
    timeout: 10_000,
    env: { ...process.env, CDN_SIGNING_KEYS: `k1:${'x'.repeat(32)}`, CDN_RUN: nginx.folder },
  })
  await expect(again).rejects.toMatchObject({
    code: 73,
    stderr: `CDN_RUN: another CDN runs in ${nginx.folder}\n`,
  })
  await put('undisturbed.json', Buffer.from('{}'))
  expect((await ask('undisturbed.json')).status).toBe(200)
})

const mayMakeBuckets = {
  CDN_S3_ACCESS_KEY_ID: process.env.S3_ACCESS_KEY_ID ?? '',
  CDN_S3_SECRET_ACCESS_KEY: process.env.S3_SECRET_ACCESS_KEY ?? '',
}
test.each([
  ['a wrong secret', { CDN_S3_SECRET_ACCESS_KEY: 'not-the-secret' }, '403 SignatureDoesNotMatch'],
  ['a secret with quotes', { CDN_S3_SECRET_ACCESS_KEY: 'not "the" \\secret' }, '403 SignatureDoesNotMatch'],
  ['a key that is not known', { CDN_S3_ACCESS_KEY_ID: 'nobody' }, '403 InvalidAccessKeyId'],
  ['a bucket that the key may not read', { S3_BUCKET: 'another' }, '403 AccessDenied'],
  ['a bucket that is not there', { S3_BUCKET: 'no-such', ...mayMakeBuckets }, '404 NoSuchBucket'],
  ['another region', { S3_REGION: 'us-east-1' }, '400 AuthorizationHeaderMalformed'],
])('%s is no missing object: it says that the store refuses, and logs how', async (_, env, store) => {
  const { put, ask, nginx } = await behindDoor(env)
  await put('refused.json', Buffer.from('{}'))
  const answer = await ask('refused.json')
  expectProblem(answer, cdnErrors.storeRefused)
  expect(answer.headers).not.toHaveProperty('x-store-answer')
  // A line is written when its answer is out already.
  await vi.waitFor(async () =>
    expect((await nginx.log()).map((line) => JSON.parse(line))).toMatchObject([{ status: 503, store }]),
  )
})

test.each([
  ['away', [404, 500]],
  ['there', [404]],
])(
  'an object that is missing, and %s when the store is asked why, is to be asked for again',
  async (_, statuses) => {
    const { put, ask, door } = await behindDoor()
    await put('wavering.json', Buffer.from('{}'))
    door.nextStatuses = statuses
    expectProblem(await ask('wavering.json'), platformErrors.objectStoreUnavailable)
    expect((await ask('wavering.json')).status).toBe(200)
  },
)

test('takes nothing from an https store whose certificate is not one of the trusted', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tendon-cdn-store-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const certificate = await makeCertificate(folder)
  const trusting = await behindDoor({ CDN_S3_CA_FILE: certificate.certificate }, certificate)
  await trusting.put('genuine.json', Buffer.from('{}'))
  expect((await trusting.ask('genuine.json')).status).toBe(200)

  const doubting = await behindDoor({}, certificate)
  await doubting.put('doubtful.json', Buffer.from('{}'))
  expect((await doubting.ask('doubtful.json')).status).toBe(503)
  expect(doubting.passed).toEqual([])
})

test('asks a store with the bucket in the host name, and follows that name to another address', async () => {
  const names = await startNameServer()
  names.addresses.set('tendon.store.test', '127.0.0.2')
  const env = { S3_FORCE_PATH_STYLE: 'false', CDN_RESOLVER: names.address }
  const { put, ask, link, passed } = await behindDoor(env, undefined, 'store.test')
  await put('hosted.json', Buffer.from('"hosted"'))
  expect(await ask('hosted.json')).toMatchObject({ status: 200, body: Buffer.from('"hosted"') })
  expect(passed).toMatchObject([
    {
      path: link('hosted.json').split('?')[0],
      headers: { host: expect.stringMatching(/^tendon\.store\.test:\d+$/) },
      address: '127.0.0.2',
    },
  ])
  expect(await ask('missing.json')).toMatchObject({ status: 404 })

  names.addresses.set('tendon.store.test', '127.0.0.3')
  let n = 0
  await vi.waitFor(
    async () => {
      await put(`moved-${++n}.json`, Buffer.from('{}'))
      expect((await ask(`moved-${n}.json`)).status).toBe(200)
      expect(passed.at(-1)?.address).toBe('127.0.0.3')
    },
    { timeout: 15_000, interval: 200 },
  )
})

test("the CDN's key reads reports, and does nothing else", async () => {
  const place = {
    endpoint: fromEnvironment('S3_ENDPOINT'),
    region: fromEnvironment('S3_REGION'),
    forcePathStyle: true,
  }
  const credentials = {
    accessKeyId: fromEnvironment('CDN_S3_ACCESS_KEY_ID'),
    secretAccessKey: fromEnvironment('CDN_S3_SECRET_ACCESS_KEY'),
  }
  const { put, link } = await behindDoor()
  await put('readable.json', Buffer.from('{}'))
  const store = createS3Store({ ...place, bucket: 'tendon', ...credentials })
  const key = link('readable.json').slice(1).split('?')[0]!
  expect(await store.head(key)).toBeDefined()
  const refused = { code: 'TENDON-PLATFORM-011' }
  await expect(store.put(key, Buffer.from('x'), json)).rejects.toMatchObject(refused)
  await expect(store.delete(key)).rejects.toMatchObject(refused)
  await expect(Array.fromAsync(store.list('reports/'))).rejects.toMatchObject(refused)
  await expect(store.get('private/secret.json')).rejects.toMatchObject(refused)
})
