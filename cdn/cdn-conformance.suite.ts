import { randomUUID } from 'node:crypto'
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import type { ErrorTable } from '@tendon/platform/errors.ts'
import type { ObjectAttributes } from '@tendon/platform/object-store.ts'
import { type SigningKeys, signPath } from '@tendon/platform/url-signature.ts'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cdnErrors } from './errors.ts'

/** Whose pages the CDN under test lets read objects. */
export const webOrigin = 'https://reports.example.org'

export type CdnUnderTest = {
  /** `http://127.0.0.1:8080` or `http://127.0.0.1:8080/cdn`; with https, a certificate that need not be trusted. */
  baseUrl: string
  /** At least two that the CDN knows, the signing one first. */
  keys: SigningKeys
  /** Puts an object where the CDN reads. */
  putObject(key: string, body: Uint8Array, attributes: ObjectAttributes): Promise<unknown>
  close(): Promise<void>
}

type Answer = { status: number; headers: IncomingHttpHeaders; body: Buffer }

/**
 * What every CDN in front of the object store does, over real HTTP and byte for byte as sent: `fetch` would tidy
 * paths and add headers.
 */
export function cdnConformanceSuite(name: string, start: () => Promise<CdnUnderTest>): void {
  const report = Buffer.from(JSON.stringify({ report: 'prosthesis-daily', padding: 'æ'.repeat(3_000) }))
  const json = { contentType: 'application/json' }
  const folder = `reports/prosthesis-daily/${randomUUID()}/2026-01-31`
  const path = `/${folder}/plain.json`
  const packedPath = `/${folder}/packed.json`

  describe.concurrent(name, () => {
    let cdn: CdnUnderTest

    beforeAll(async () => {
      cdn = await start()
      await cdn.putObject(path.slice(1), report, json)
      await cdn.putObject(`${folder}/other.json`, Buffer.from('"other"'), json)
      await cdn.putObject(packedPath.slice(1), gzipSync(report), { ...json, contentEncoding: 'gzip' })
      await cdn.putObject('private/secret.json', Buffer.from('"secret"'), json)
    })
    afterAll(() => cdn?.close())

    function sign(
      signedPath: string,
      options: { method?: 'GET' | 'HEAD'; ttlS?: number; keys?: SigningKeys } = {},
    ) {
      const { method = 'GET', ttlS = 300, keys = cdn.keys } = options
      return signPath({ method, path: signedPath, expiresAtS: Math.floor(Date.now() / 1000) + ttlS, keys })
    }
    function ask(target: string, method = 'GET', headers: Record<string, string> = {}): Promise<Answer> {
      return askRaw(cdn.baseUrl, target, method, headers)
    }
    async function expectRefused(target: string) {
      const answer = await ask(target)
      expectProblem(answer, cdnErrors.urlRefused, target)
      expect(answer.body.includes('prosthesis-daily')).toBe(false)
    }

    test('serves an object, to be kept by this browser only and no longer than its link', async () => {
      // It ends on a multiple of ten, as links do: whoever reckons in tens errs by most there.
      const expiresAtS = Math.ceil(Date.now() / 10_000) * 10 + 300
      const leftS = expiresAtS - Date.now() / 1000
      const first = await ask(signPath({ method: 'GET', path, expiresAtS, keys: cdn.keys }))
      expect(first.status).toBe(200)
      expect(first.body).toEqual(report)
      expect(first.headers).toMatchObject({
        'content-type': 'application/json',
        'content-length': String(report.length),
        'x-content-type-options': 'nosniff',
      })
      const [, maxAge] =
        /^private, max-age=(\d+), immutable$/.exec(first.headers['cache-control'] ?? '') ?? []
      // nginx is at most 19 seconds short, and the answer takes its time.
      expect(Number(maxAge)).toBeGreaterThanOrEqual(leftS - 25)
      expect(Number(maxAge)).toBeLessThanOrEqual(leftS)
      const second = await ask(sign(path))
      expect(second).toMatchObject({ status: 200, body: report })
      expect(second.headers.etag).toBe(first.headers.etag)
    })

    test('takes links of every key', async () => {
      for (const key of cdn.keys) expect((await ask(sign(path, { keys: [key] }))).status).toBe(200)
    })

    test('refuses a link with any one character changed', async () => {
      const link = sign(path)
      expect((await ask(link)).status).toBe(200)
      for (let at = 1; at < link.length; at += 1) {
        const changed = link[at] === 'a' ? 'b' : 'a'
        await expectRefused(link.slice(0, at) + changed + link.slice(at + 1))
      }
      // The last character has two spare bits: another spelling of the same signature bytes.
      const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
      await expectRefused(link.slice(0, -1) + alphabet[alphabet.indexOf(link.at(-1)!) ^ 1])
    })

    test('refuses a link with any one character of its path written in another way', async () => {
      const link = sign(path)
      for (let at = 0; at < path.length; at += 1) {
        const encoded = `%${link.charCodeAt(at).toString(16)}`
        // What follows a host begins with a slash.
        await expectRefused(`${at === 0 ? '/' : ''}${link.slice(0, at)}${encoded}${link.slice(at + 1)}`)
      }
    })

    test('refuses a link with anything missing, added, doubled or moved', async () => {
      const link = sign(path)
      const [, expiry, keyId, signature] = /\?(exp=\d+)&(kid=\w+)&(sig=.+)$/.exec(link)!
      const queries = [
        '',
        '?',
        `?${expiry}&${keyId}`,
        `?${keyId}&${expiry}&${signature}`,
        `?x=1&${expiry}&${keyId}&${signature}`,
        `?${expiry}&${keyId}&${signature}&x=1`,
        `?${expiry}&${keyId}&${signature}&${expiry}`,
        `?${expiry}&${keyId}&${signature}%0a`,
        `?${expiry}&kid=constructor&${signature}`,
        `?${expiry}&kid=&${signature}`,
        `?${expiry}&${keyId}&sig=${'A'.repeat(43)}`,
        `?exp=9999999999&${keyId}&${signature}`,
      ]
      for (const query of queries) await expectRefused(path + query)
      await expectRefused(sign(path).replace('plain', 'other'))
      await expectRefused(
        sign(path, { keys: [{ id: cdn.keys[0].id, secret: 'not-the-secret-not-the-secret-not' }] }),
      )
      // Who knows no key knows no secret too: a key that is not there must not count as an empty one.
      await expectRefused(sign(path, { keys: [{ id: 'nobody', secret: '' }] }))
    })

    test('refuses a link that has expired, also one it served before', async () => {
      await expectRefused(sign(path, { ttlS: -1 }))
      const link = sign(path, { ttlS: 2 })
      expect((await ask(link)).status).toBe(200)
      const expiresAtMs = Number(/exp=(\d+)/.exec(link)![1]) * 1000
      // A CDN's clock may tick once a second.
      await sleep(expiresAtMs - Date.now() + 1_100)
      await expectRefused(link)
    })

    test('answers HEAD with its own signature, and no body', async () => {
      const answer = await ask(sign(path, { method: 'HEAD' }), 'HEAD')
      expect(answer).toMatchObject({ status: 200, body: Buffer.alloc(0) })
      expect(answer.headers['content-length']).toBe(String(report.length))
      expect((await ask(sign(path), 'HEAD')).status).toBe(403)
      await expectRefused(sign(path, { method: 'HEAD' }))
    })

    test.each(['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])('does not take %s', async (method) => {
      expectProblem(await ask(sign(path), method), cdnErrors.methodRefused)
    })

    test('answers 304 to who has the object, if the link is good', async () => {
      const { headers } = await ask(sign(path))
      const answer = await ask(sign(path), 'GET', { 'if-none-match': headers.etag! })
      expect(answer).toMatchObject({ status: 304, body: Buffer.alloc(0) })
      expect(answer.headers['cache-control']).toMatch(/^private, max-age=\d+, immutable$/)
      expect((await ask(sign(path), 'GET', { 'if-none-match': `"x", W/${headers.etag}` })).status).toBe(304)
      expect((await ask(sign(path), 'GET', { 'if-none-match': '"another"' })).status).toBe(200)
      expect((await ask(`${sign(path)}x`, 'GET', { 'if-none-match': headers.etag! })).status).toBe(403)
    })

    test.each([
      ['bytes=0-9', 0, 9],
      ['bytes=10-', 10, report.length - 1],
      ['bytes=-5', report.length - 5, report.length - 1],
      [`bytes=100-${report.length * 2}`, 100, report.length - 1],
    ])('serves the range %s', async (range, first, last) => {
      const answer = await ask(sign(path), 'GET', { range })
      expect(answer.status).toBe(206)
      expect(answer.headers['content-range']).toBe(`bytes ${first}-${last}/${report.length}`)
      expect(answer.body).toEqual(report.subarray(first, last + 1))
    })

    test('has no range beyond the end, and none of other bytes than asked for', async () => {
      const object = `/${folder}/short.json`
      await cdn.putObject(object.slice(1), report, json)
      for (const _ of ['when it is fetched', 'as it is kept']) {
        const beyond = await ask(sign(object), 'GET', { range: `bytes=${report.length}-`, origin: webOrigin })
        expectProblem(beyond, cdnErrors.rangeMissing)
        expect(beyond.headers).toMatchObject({
          'content-range': `bytes */${report.length}`,
          'access-control-allow-origin': webOrigin,
        })
        expect(Object.keys(beyond.headers)).not.toContain('etag')
      }
      const changed = await ask(sign(path), 'GET', { range: 'bytes=0-9', 'if-range': '"another"' })
      expect(changed).toMatchObject({ status: 200, body: report })
      const several = await ask(sign(path), 'GET', { range: 'bytes=0-0,5-5' })
      expect(several).toMatchObject({ status: 200, body: report })
    })

    test.each([
      ['as it is', undefined, undefined, 206],
      ['as it is', undefined, 'gzip', 206],
      ['compressed', 'gzip', undefined, 200],
      ['compressed', 'gzip', 'gzip', 200],
    ])(
      'of an object stored %s (%s) asked for with Accept-Encoding: %s, a range is of what comes whole',
      async (_, contentEncoding, accepted, status) => {
        const object = `/${folder}/${randomUUID()}.json`
        await cdn.putObject(object.slice(1), contentEncoding ? gzipSync(report) : report, {
          ...json,
          contentEncoding,
        })
        const headers = accepted ? { 'accept-encoding': accepted } : {}
        const ranged = () => ask(sign(object), 'GET', { ...headers, range: 'bytes=7-19' })
        // The first one fetches the object.
        const answers = [await ranged()]
        const whole = await ask(sign(object), 'GET', headers)
        answers.push(await ranged())
        expect(whole.status).toBe(200)
        for (const { body, headers: given, ...answer } of answers) {
          expect(answer.status).toBe(status)
          expect(body).toEqual(status === 206 ? whole.body.subarray(7, 20) : whole.body)
          for (const name of ['etag', 'content-encoding', 'content-type', 'last-modified'])
            expect(given[name], name).toBe(whole.headers[name])
        }
      },
    )

    test('does not give an object to who wants another state of it', async () => {
      const { headers } = await ask(sign(path))
      const { etag, 'last-modified': modified } = headers as Record<string, string>
      const before = new Date(Date.parse(modified!) - 1_000).toUTCString()
      for (const condition of [
        { 'if-match': '"another"' },
        { 'if-match': `W/${etag}` },
        { 'if-unmodified-since': before },
      ])
        expectProblem(await ask(sign(path), 'GET', condition), cdnErrors.conditionFailed)
      for (const condition of [
        { 'if-match': `"another", ${etag}` },
        { 'if-match': '*' },
        { 'if-unmodified-since': modified! },
      ])
        expect(await ask(sign(path), 'GET', condition)).toMatchObject({ status: 200, body: report })
    })

    test('gives a compressed object to who can take it, and decodes it for who cannot', async () => {
      // Proxies take it as well.
      for (const headers of [{}, { via: '1.1 proxy' }, { 'accept-encoding': 'br, gzip;q=0.5' }]) {
        const packed = await ask(sign(packedPath), 'GET', { 'accept-encoding': 'gzip', ...headers })
        expect(packed.headers.vary?.toLowerCase()).toContain('accept-encoding')
        expect(packed.headers['content-encoding']).toBe('gzip')
        expect(packed.headers['content-type']).toBe('application/json')
        expect(packed.body).toEqual(gzipSync(report))
      }
      for (const headers of [{}, { 'accept-encoding': 'br' }, { 'accept-encoding': 'gzip;q=0' }]) {
        const plain = await ask(sign(packedPath), 'GET', headers)
        expect(plain.status).toBe(200)
        expect(plain.headers.vary?.toLowerCase()).toContain('accept-encoding')
        expect(plain.headers['content-encoding']).toBeUndefined()
        expect(plain.body).toEqual(report)
        // Other bytes than those the store's validator stands for.
        expect(plain.headers.etag).toMatch(/^W\/"/)
        const again = await ask(sign(packedPath), 'GET', { ...headers, 'if-none-match': plain.headers.etag! })
        expect(again.status).toBe(304)
      }
    })

    test('lets pages of the web origin read an object, and of no other', async () => {
      const allowed = await ask(sign(path), 'GET', { origin: webOrigin })
      expect(allowed.headers['access-control-allow-origin']).toBe(webOrigin)
      expect(allowed.headers.vary?.toLowerCase()).toContain('origin')
      for (const origin of [
        'https://evil.example',
        'null',
        `${webOrigin}.evil.example`,
        `${webOrigin}:8443`,
      ]) {
        const { status, headers } = await ask(sign(path), 'GET', { origin })
        expect([status, headers['access-control-allow-origin']], origin).toEqual([200, undefined])
      }
      // So that a page can tell a link that has expired from a network that is down.
      const refused = await ask(path, 'GET', { origin: webOrigin })
      expect([refused.status, refused.headers['access-control-allow-origin']]).toEqual([403, webOrigin])
    })

    test.each([
      ['csv', 'text/csv; charset=utf-8', 'gzip'],
      ['parquet', 'application/vnd.apache.parquet', undefined],
    ])(
      'serves %s as what it is, from the store and from what it keeps',
      async (ending, contentType, contentEncoding) => {
        const key = `${folder}/table.${ending}`
        const body = contentEncoding ? gzipSync('a,b\r\n') : Buffer.from('PAR1')
        await cdn.putObject(key, body, { contentType, contentEncoding })
        // One after the other: the first comes from the store, the others from what is kept.
        for (let n = 1; n <= 3; n += 1) {
          const answer = await ask(sign(`/${key}`), 'GET', { 'accept-encoding': 'gzip' })
          const { status, headers, body: given } = answer
          expect([status, headers['content-type'], headers['content-encoding']], `answer ${n}`).toEqual([
            200,
            contentType,
            contentEncoding,
          ])
          expect(given).toEqual(body)
        }
      },
    )

    test('whatever is asked, only what was signed is served', async () => {
      const good = sign(path)
      const character = fc.constantFrom(...'aZ0.-_~/%?&=;:@,+#[]{}|^` \t\u00e9\\'.split(''))
      const text = fc.array(character, { maxLength: 12 }).map((characters) => characters.join(''))
      const encoded = text.map((part) => encodeURIComponent(part))
      const doubled = encoded.map((part) => part.replaceAll('%', '%25'))
      const piece = fc.oneof(
        text,
        encoded,
        doubled,
        fc.constantFrom('..', '%2e%2e', '//', '/./', '%00', '%0a', '%2f'),
      )
      const place = fc.nat({ max: good.length })
      const target = fc.oneof(
        fc.tuple(place, piece).map(([at, part]) => good.slice(0, at) + part + good.slice(at)),
        fc.tuple(place, place, piece).map(([from, to, part]) => good.slice(0, from) + part + good.slice(to)),
        piece.map((part) => `${path}?${part}`),
        piece.map((part) => `/${part}${good.slice(path.length)}`),
      )
      await fc.assert(
        fc.asyncProperty(target, fc.constantFrom('GET', 'HEAD'), async (asked, method) => {
          // What a client library does not send either: not a request line any more.
          const line = asked.replaceAll(/[^\x21-\x7e]|#/g, '') || '/'
          const address = line.startsWith('/') ? line : `/${line}`
          const { status, headers, body } = await ask(address, method)
          // The same address written in another way (RFC 3986 §6.2.2.3) is what was signed as well.
          const plain = URL.parse(`http://cdn${address}`)
          if (plain && plain.pathname + plain.search === good && method === 'GET') {
            expect(address === good ? [200] : [200, 400, 403, 404], address).toContain(status)
            return
          }
          expect([400, 403, 404, 414], line).toContain(status)
          // What is no request at all, a server refuses before the CDN sees it.
          if (status === 403) expect(headers['cache-control']).toBe('no-store')
          expect(body.includes('padding')).toBe(false)
        }),
        { numRuns: 300 },
      )
    })

    test('says that an object is not there, and does not keep that', async () => {
      const missing = `/${folder}/${randomUUID()}.json`
      expectProblem(await ask(sign(missing)), cdnErrors.objectMissing)
      await cdn.putObject(missing.slice(1), report, json)
      expect((await ask(sign(missing))).status).toBe(200)
    })

    test('serves and lists nothing but single reports, whatever was signed', async () => {
      const targets = [
        '/private/secret.json',
        `/${folder}`,
        `/${folder}/`,
        '/reports/',
        '/reports/../private/secret.json',
        '/reports//private/secret.json',
      ]
      for (const target of targets) {
        const answer = await ask(sign(target))
        expect(answer.status, target).toBeGreaterThanOrEqual(400)
        expect(answer.status, target).toBeLessThan(500)
        expect(answer.body.toString()).not.toMatch(/"secret"|plain\.json/)
      }
      const query = sign('/private/secret.json').split('?')[1]
      for (const climb of ['/reports/..%2fprivate/secret.json', '/reports/%2e%2e/private/secret.json']) {
        const answer = await ask(`${climb}?${query}`)
        expect([400, 403, 404], climb).toContain(answer.status)
      }
    })
  })
}

/** The whole answer as the table of errors has it, so that what nginx.conf says is no text of its own. */
export function expectProblem(
  { status, headers, body }: Answer,
  { code, definition }: ErrorTable[string],
  asked?: string,
): void {
  const { title, help, retryAfterSeconds, headers: ownHeaders } = definition
  expect(status, asked).toBe(definition.status)
  expect(headers).toMatchObject({
    ...ownHeaders,
    'content-type': 'application/problem+json',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  })
  expect(headers['retry-after']).toBe(retryAfterSeconds?.toString())
  expect(JSON.parse(body.toString())).toMatchObject({
    type: `urn:tendon:error:${code}`,
    title,
    status: definition.status,
    code,
    help,
  })
}

export function askRaw(
  baseUrl: string,
  target: string,
  method: string,
  headers: Record<string, string>,
): Promise<Answer> {
  const base = new URL(baseUrl)
  return new Promise((resolve, reject) => {
    const request = (base.protocol === 'https:' ? httpsRequest : httpRequest)(
      {
        rejectUnauthorized: false,
        host: base.hostname,
        port: base.port,
        path: base.pathname.replace(/\/$/, '') + target,
        method,
        headers,
        agent: false,
      },
      async (response) => {
        const chunks = await response.toArray()
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) })
      },
    )
    request.on('error', reject).end()
  })
}
