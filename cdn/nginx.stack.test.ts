import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { platformErrors } from '@tendon/platform/platform-errors.ts'
import { signPath } from '@tendon/platform/url-signature.ts'
import { expect, onTestFinished, test, vi } from 'vitest'
import { askRaw, cdnConformanceSuite, expectProblem } from './cdn-conformance.suite.ts'
import { malformedRequestsSuite } from './malformed-requests.suite.ts'
import { makeCertificate } from './test-certificate.fixture.ts'
import { signingKeysText, startTestNginx } from './test-nginx.fixture.ts'
import { behindDoor, json } from './test-store-door.fixture.ts'

cdnConformanceSuite('nginx in front of MinIO', () => startTestNginx())

malformedRequestsSuite('nginx', () => startTestNginx())

cdnConformanceSuite('nginx with TLS in front of MinIO', startWithTls)
malformedRequestsSuite('nginx with TLS', startWithTls)

async function startWithTls() {
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
}

test('who speaks plain HTTP where TLS is expected is told in the same form', async () => {
  const nginx = await startWithTls()
  onTestFinished(() => nginx.close())
  const answer = await askRaw(nginx.baseUrl.replace('https:', 'http:'), '/', 'GET', {})
  expectProblem(answer, platformErrors.requestRefused)
})

test('keys change without a restart: both are good meanwhile, and the old one for nothing afterwards, kept objects neither', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tendon-cdn-keys-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const file = join(folder, 'keys')
  const [old, next] = [
    { id: 'old', secret: 'the-old-signing-secret-0123456789abc' },
    // A word of nginx's own where its configuration lists the keys.
    { id: 'default', secret: 'the-next-signing-secret-0123456789ab' },
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
  for (const [text, mistake] of [
    ['default:short', 'expected <id>:<secret>[,<id>:<secret>]'],
    [signingKeysText([old, old, next]), 'two keys have the same id'],
  ] as const) {
    await writeFile(file, text)
    nginx.hangUp()
    await vi.waitFor(() => expect(nginx.said()).toMatch(`CDN_SIGNING_KEYS: ${mistake}\n`))
    expect(await answers()).toEqual([403, 200])
  }
  await change(signingKeysText([next, old]), [200, 200])
})

test('of many changes of the keys in a row the last counts, and none of them looks wrong', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tendon-cdn-keys-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const file = join(folder, 'keys')
  await writeFile(file, signingKeysText([{ id: 'k1', secret: randomUUID() }]))
  const nginx = await startTestNginx({ CDN_SIGNING_KEYS_FILE: file })
  onTestFinished(() => nginx.close())
  const secrets = Array.from({ length: 40 }, () => randomUUID())
  for (const [n, secret] of secrets.entries()) {
    await writeFile(`${file}.new`, signingKeysText([{ id: 'k1', secret }]))
    await rename(`${file}.new`, file)
    nginx.hangUp()
    // At first several become one, later they come at any moment of the one before.
    await sleep(n)
  }
  await vi.waitFor(
    async () => {
      const path = '/reports/nothing.json'
      const expiresAtS = Math.floor(Date.now() / 1000) + 300
      const link = signPath({
        method: 'GET',
        path,
        expiresAtS,
        keys: [{ id: 'k1', secret: secrets.at(-1)! }],
      })
      expect((await askRaw(nginx.baseUrl, link, 'GET', {})).status).toBe(404)
    },
    { timeout: 10_000, interval: 50 },
  )
  expect(nginx.said()).toBe('')
})

test('who does not send the request is not waited for long', async () => {
  const nginx = await startTestNginx()
  onTestFinished(() => nginx.close())
  const { hostname, port } = new URL(nginx.baseUrl)
  const beganAt = performance.now()
  const socket = connect({ host: hostname, port: Number(port) }).resume()
  socket.write('GET /reports/')
  await once(socket, 'close')
  expect(performance.now() - beganAt).toBeLessThan(15_000)
}, 30_000)

test('many who miss at once cost one fetch, which carries nothing of theirs', async () => {
  const { put, ask, passed, door } = await behindDoor()
  await put('popular.json', Buffer.alloc(200_000, 'x'))
  // None of which is for this cache: an object is for whoever has a link.
  door.headers = {
    'cache-control': 'private, no-store',
    'set-cookie': 'a=b',
    vary: '*',
    'x-accel-expires': '0',
    'x-accel-redirect': '/nowhere',
  }
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

test('while the object store is away it serves what it has, says so of the rest, and goes on by itself', async () => {
  const { put, ask, link, door, nginx } = await behindDoor()
  await put('had.json', Buffer.from('"had"'))
  await put('not-had.json', Buffer.from('"not had"'))
  const first = await ask('had.json')
  door.isShut = true
  const again = await ask('had.json')
  expect([again.status, again.body, again.headers.etag]).toEqual([200, first.body, first.headers.etag])
  expect((await askRaw(nginx.baseUrl, `${link('had.json')}x`, 'GET', {})).status).toBe(403)
  expectProblem(await ask('not-had.json'), platformErrors.objectStoreUnavailable)
  door.isShut = false
  await vi.waitFor(async () => expect((await ask('not-had.json')).status).toBe(200), {
    timeout: 15_000,
    interval: 250,
  })
  const log = await nginx.log()
  const ofHad = log.map((line) => JSON.parse(line)).filter(({ path }) => path.endsWith('/had.json'))
  expect(ofHad.map(({ status }) => status)).toEqual([200, 403])
  expect(log.some((line) => JSON.parse(line).status === 503)).toBe(true)
  expect(log.join('')).not.toMatch(/sig=|exp=/)
  // Of what failed nginx would say the whole address.
  expect(nginx.said()).toBe('')
})

test('the store stays within its bound, the newest kept, and what was dropped comes again', async () => {
  const { put, ask, nginx } = await behindDoor({ CDN_STORE_MAX_MB: '1', CDN_SWEEP_INTERVAL_S: '1' })
  const names = Array.from({ length: 20 }, (_, n) => `large-${n}.json`)
  await Promise.all(names.map((name) => put(name, Buffer.alloc(100_000, 'x'))))
  for (const name of names) expect((await ask(name)).status).toBe(200)
  const store = join(nginx.folder, 'store')
  const kept = async () => (await readdir(store)).filter((name) => name.includes('large'))
  await vi.waitFor(async () => {
    const sizes = await Promise.all((await kept()).map(async (name) => (await stat(join(store, name))).size))
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(1_048_576)
    expect(sizes.length).toBeGreaterThan(5)
  }, 5_000)
  expect((await kept()).some((name) => name.endsWith('large-19.json'))).toBe(true)
  expect((await kept()).some((name) => name.endsWith('large-0.json'))).toBe(false)
  expect(await ask('large-0.json')).toMatchObject({ status: 200, body: Buffer.alloc(100_000, 'x') })
  await vi.waitFor(async () =>
    expect((await kept()).some((name) => name.endsWith('large-0.json'))).toBe(true),
  )
})
