import { randomUUID } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener, request } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createS3Store } from '@tendon/platform/object-store-s3.ts'
import { signPath } from '@tendon/platform/url-signature.ts'
import { expect, onTestFinished, test, vi } from 'vitest'
import { askRaw, cdnConformanceSuite } from './cdn-conformance.suite.ts'
import { cdnErrors } from './errors.ts'
import { makeCertificate } from './test-certificate.fixture.ts'
import { fromEnvironment, signingKeysText, startTestNginx } from './test-nginx.fixture.ts'

cdnConformanceSuite('nginx in front of MinIO', () => startTestNginx())

cdnConformanceSuite('nginx with TLS in front of MinIO', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tendon-cdn-tls-'))
  const { certificate, key } = await makeCertificate(folder)
  const nginx = await startTestNginx({ CDN_TLS_CERTIFICATE: certificate, CDN_TLS_KEY: key })
  return {
    ...nginx,
    async close() {
      await nginx.close()
      await rm(folder, { recursive: true })
    },
  }
})

test('keys change without a restart: both are good meanwhile, and the old one for nothing afterwards, kept objects neither', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tendon-cdn-keys-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const file = join(folder, 'keys')
  const [old, next] = [
    { id: 'old', secret: 'the-old-signing-secret-0123456789abc' },
    { id: 'next', secret: 'the-next-signing-secret-0123456789ab' },
  ] as const
  await writeFile(file, signingKeysText([old]))
  const nginx = await startTestNginx({ CDN_SIGNING_KEYS_FILE: file })
  onTestFinished(() => nginx.close())
  const path = `/reports/prosthesis-daily/${randomUUID()}/2026-01-31/kept.json`
  await nginx.putObject(path.slice(1), Buffer.from('"kept"'), json)
  /** What a link signed by each of them is answered. */
  const answers = async () => {
    const expiresAtS = Math.floor(Date.now() / 1000) + 300
    const asked = [old, next].map((key) =>
      askRaw(nginx.baseUrl, signPath({ method: 'GET', path, expiresAtS, keys: [key] }), 'GET', {}),
    )
    return (await Promise.all(asked)).map(({ status }) => status)
  }
  async function change(text: string, expected: number[]): Promise<void> {
    await writeFile(file, text)
    nginx.hangUp()
    await vi.waitFor(async () => expect(await answers()).toEqual(expected), { timeout: 10_000, interval: 50 })
  }

  expect(await answers()).toEqual([200, 403])
  await change(signingKeysText([old, next]), [200, 200])
  await change(signingKeysText([next]), [403, 200])
  // Nothing that could not be read takes the good ones away.
  await change('next:short', [403, 200])
  await change(signingKeysText([next, old]), [200, 200])
})

const json = { contentType: 'application/json' }

/**
 * nginx with MinIO behind a door: what goes through is counted, answers can get more headers, and the door can be shut.
 * @param tls files of the door's certificate; it speaks plain HTTP without
 */
async function behindDoor(
  env: Record<string, string> = {},
  tls?: { certificate: string; key: string },
  hostname = '127.0.0.1',
) {
  const target = new URL(fromEnvironment('S3_ENDPOINT'))
  const passed: { path: string; headers: Record<string, unknown>; address: string | undefined }[] = []
  const door = { isShut: false, headers: {} as Record<string, string> }
  const listener: RequestListener = (incoming, outgoing) => {
    const { localAddress: address } = incoming.socket
    passed.push({ path: incoming.url ?? '', headers: incoming.headers, address })
    if (door.isShut) {
      incoming.socket.destroy()
      return
    }
    const forwarded = request(
      {
        host: target.hostname,
        port: target.port,
        path: incoming.url,
        method: incoming.method,
        headers: incoming.headers,
      },
      (answer) =>
        answer.pipe(outgoing.writeHead(answer.statusCode ?? 502, { ...answer.headers, ...door.headers })),
    )
    incoming.pipe(forwarded.on('error', () => outgoing.destroy()))
  }
  const server = tls
    ? createTlsServer({ cert: await readFile(tls.certificate), key: await readFile(tls.key) }, listener)
    : createServer(listener)
  // Under each address of loopback.
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve))
  const { port } = server.address() as AddressInfo
  const endpoint = `${tls ? 'https' : 'http'}://${hostname}:${port}`
  const nginx = await startTestNginx({ ...env, S3_ENDPOINT: endpoint })
  onTestFinished(async () => {
    await nginx.close()
    server.closeAllConnections()
    server.close()
  })

  const folder = `reports/prosthesis-daily/${randomUUID()}/2026-01-31`
  const link = (name: string, method: 'GET' | 'HEAD' = 'GET') =>
    signPath({
      method,
      path: `/${folder}/${name}`,
      expiresAtS: Math.floor(Date.now() / 1000) + 300,
      keys: nginx.keys,
    })
  return {
    nginx,
    door,
    passed,
    put: (name: string, body: Uint8Array) => nginx.putObject(`${folder}/${name}`, body, json),
    link,
    ask: (name: string, method: 'GET' | 'HEAD' = 'GET', headers: Record<string, string> = {}) =>
      askRaw(nginx.baseUrl, link(name, method), method, headers),
  }
}

test('many who miss at once cost one fetch, which carries nothing of theirs', async () => {
  const { put, ask, passed } = await behindDoor()
  await put('popular.json', Buffer.alloc(200_000, 'x'))
  const headers = { cookie: 'session_id=x', 'x-forwarded-for': '10.0.0.1', origin: 'https://evil.example' }
  const answers = await Promise.all(Array.from({ length: 50 }, () => ask('popular.json', 'GET', headers)))
  expect(new Set(answers.map(({ status, body }) => `${status} ${body.length}`))).toEqual(
    new Set(['200 200000']),
  )
  expect(passed).toHaveLength(1)
  expect(passed[0]!.path).not.toContain('?')
  expect(Object.keys(passed[0]!.headers).sort()).toEqual(
    ['authorization', 'connection', 'host', 'x-amz-content-sha256', 'x-amz-date'].filter(
      (name) => name in passed[0]!.headers,
    ),
  )
})

test.each([
  ['HEAD', 'HEAD', {}, 200],
  ['a range', 'GET', { range: 'bytes=10-19' }, 206],
] as const)('%s of what is not there yet fetches all of it, once', async (_, method, headers, status) => {
  const { put, ask, passed } = await behindDoor()
  await put('partly.json', Buffer.alloc(5_000, 'x'))
  expect(await ask('partly.json', method, headers)).toMatchObject({ status })
  expect((await ask('partly.json')).body).toHaveLength(5_000)
  expect(passed).toHaveLength(1)
})

test('the first answer, from the store, has no other headers than those from the file later', async () => {
  const { put, ask, door, nginx } = await behindDoor()
  // As reports-service does at each start; MinIO then says of each object when it will go.
  expect(await nginx.store.expireAfter('reports/', 7)).toBe(true)
  await put('bare.json', Buffer.from('{}'))
  door.headers = { 'x-amz-server-side-encryption': 'AES256', 'x-amz-meta-of': 'somebody', expires: '0' }
  const headers = async () => {
    const { status, headers } = await ask('bare.json')
    const { date, 'cache-control': cacheControl, ...rest } = headers
    expect([status, cacheControl]).toEqual([200, expect.stringMatching(/^private, max-age=/)])
    return rest
  }
  const first = await headers()
  expect(await headers()).toEqual(first)
})

const mayMakeBuckets = {
  CDN_S3_ACCESS_KEY_ID: process.env.S3_ACCESS_KEY_ID ?? '',
  CDN_S3_SECRET_ACCESS_KEY: process.env.S3_SECRET_ACCESS_KEY ?? '',
}
test.each([
  ['a wrong secret', { CDN_S3_SECRET_ACCESS_KEY: 'not-the-secret' }, '403 SignatureDoesNotMatch'],
  ['a key that is not known', { CDN_S3_ACCESS_KEY_ID: 'nobody' }, '403 InvalidAccessKeyId'],
  ['a bucket that the key may not read', { S3_BUCKET: 'another' }, '403 AccessDenied'],
  ['a bucket that is not there', { S3_BUCKET: 'no-such', ...mayMakeBuckets }, '404 NoSuchBucket'],
  ['another region', { S3_REGION: 'us-east-1' }, '400 AuthorizationHeaderMalformed'],
])('%s is no missing object: it says that the store refuses, and logs how', async (_, env, store) => {
  const { put, ask, nginx } = await behindDoor(env)
  await put('refused.json', Buffer.from('{}'))
  const { code, definition } = cdnErrors.storeRefused
  const { status, headers, body } = await ask('refused.json')
  expect({ status, ...headers, ...JSON.parse(body.toString()) }).toMatchObject({
    status: 503,
    'retry-after': String(definition.retryAfterSeconds),
    'cache-control': 'no-store',
    code,
    help: definition.help,
  })
  expect(headers).not.toHaveProperty('x-store-answer')
  expect((await nginx.log()).map((line) => JSON.parse(line))).toMatchObject([{ status: 503, store }])
})

test('while the object store is away it serves what it has, says so of the rest, and goes on by itself', async () => {
  const { put, ask, link, door, nginx } = await behindDoor()
  await put('had.json', Buffer.from('"had"'))
  await put('not-had.json', Buffer.from('"not had"'))
  const first = await ask('had.json')
  door.isShut = true
  const again = await ask('had.json')
  expect([again.status, again.body, again.headers.etag]).toEqual([200, first.body, first.headers.etag])
  expect((await askRaw(nginx.baseUrl, `${link('had.json')}x`, 'GET', {})).status).toBe(403)
  const away = await ask('not-had.json')
  expect(away).toMatchObject({ status: 503 })
  expect(away.headers).toMatchObject({ 'retry-after': '2', 'cache-control': 'no-store' })
  expect(JSON.parse(away.body.toString())).toMatchObject({ code: 'TENDON-PLATFORM-011' })
  door.isShut = false
  await vi.waitFor(async () => expect((await ask('not-had.json')).status).toBe(200), {
    timeout: 15_000,
    interval: 250,
  })
  const log = await nginx.log()
  expect(log.some((line) => JSON.parse(line).status === 503)).toBe(true)
  expect(log.join('')).not.toMatch(/sig=|exp=/)
})

test('the store stays within its bound, the newest kept, and what was dropped is fetched again', async () => {
  const { put, ask, passed, nginx } = await behindDoor({ CDN_STORE_MAX_MB: '1', CDN_SWEEP_INTERVAL_S: '1' })
  const names = Array.from({ length: 20 }, (_, n) => `large-${n}.json`)
  await Promise.all(names.map((name) => put(name, Buffer.alloc(100_000, 'x'))))
  for (const name of names) expect((await ask(name)).status).toBe(200)
  const store = join(nginx.folder, 'store')
  const kept = async () => (await readdir(store)).filter((name) => name.includes('large'))
  await vi.waitFor(async () => {
    const sizes = await Promise.all((await kept()).map(async (name) => (await stat(join(store, name))).size))
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(1_048_576 * 0.9)
    expect(sizes.length).toBeGreaterThan(5)
  }, 5_000)
  expect((await kept()).some((name) => name.endsWith('large-19.json'))).toBe(true)
  expect((await kept()).some((name) => name.endsWith('large-0.json'))).toBe(false)
  expect((await ask('large-0.json')).status).toBe(200)
  expect(passed.length).toBeGreaterThanOrEqual(20)
})

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

/** A name server that knows what it is told, for a second at a time (RFC 1035 §4). */
async function startNameServer() {
  const addresses = new Map<string, string>()
  const socket = createSocket('udp4')
  socket.on('message', (query, { port, address }) => {
    const labels: string[] = []
    let end = 12
    for (; query[end] !== 0; end += query[end]! + 1) {
      labels.push(query.toString('latin1', end + 1, end + 1 + query[end]!))
    }
    const question = query.subarray(12, end + 5)
    const isForAddress = query.readUInt16BE(end + 1) === 1
    const known = isForAddress ? addresses.get(labels.join('.')) : undefined
    const header = Buffer.from(query.subarray(0, 12))
    header.writeUInt16BE(0x8180, 2)
    header.writeUInt16BE(known ? 1 : 0, 6)
    const answer = known ? [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, ...known.split('.').map(Number)] : []
    socket.send(Buffer.concat([header, question, Buffer.from(answer)]), port, address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  onTestFinished(() => void socket.close())
  return { addresses, address: `127.0.0.1:${socket.address().port}` }
}

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
