import { randomUUID } from 'node:crypto'
import { connect } from 'node:net'
import { demoPeople } from '@tendon/sources/demo-people.ts'
import { decodeJwt, decodeProtectedHeader, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestBrowser } from '../fixtures/test-browser.fixture.ts'
import { type StackOptions, startSuiteStack, type TestStack } from '../fixtures/test-stack.fixture.ts'

/** Requests that somebody signed in, or nobody at all, sends in order to be taken for somebody else. */
export function attacksSuite(
  name: string,
  options: Pick<StackOptions, 'openProvider' | 'openKeyValue'>,
): void {
  describe(`attacks: ${name}`, () => {
    let stack: TestStack
    let cookie: string
    beforeAll(async () => {
      stack = await startSuiteStack(options)
      const browser = new TestBrowser()
      await browser.signIn(stack.loginUrl, 'alice')
      cookie = `session_id=${browser.cookie('session_id')!.value}`
    })
    afterAll(() => stack.stop())

    const get = (path: string, headers: Record<string, string> = {}) =>
      fetch(stack.url + path, { headers: { cookie, ...headers } })
    const codeOf = async (response: Response) => [response.status, (await response.json()).code]

    /** What a server answers to these bytes, which no client library would send. */
    async function raw(request: string): Promise<string> {
      const { hostname, port } = new URL(stack.url)
      const socket = connect(Number(port), hostname)
      socket.write(request)
      let answer = ''
      socket.setEncoding('latin1').on('data', (text) => {
        answer += text
      })
      // A server that refuses in the middle of a request may reset the connection behind its answer.
      socket.on('error', () => {})
      await new Promise((resolve) => socket.once('close', resolve))
      return answer
    }

    async function expectReachesNobody(path: string): Promise<void> {
      const before = stack.upstreamRequests.length
      const answer = await raw(
        `GET ${path} HTTP/1.1\r\nhost: x\r\ncookie: ${cookie}\r\nconnection: close\r\n\r\n`,
      )
      expect(answer).toMatch(/^HTTP\/1.1 (400|404)/)
      expect(stack.upstreamRequests).toHaveLength(before)
    }

    test('of what a browser sends, only harmless headers pass, and the trace', async () => {
      const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
      const request = [
        'GET /api/reports HTTP/1.1',
        'host: evil.example',
        `cookie: ${cookie}; other=1`,
        'authorization: Bearer of-the-browser',
        'proxy-authorization: Basic eDp5',
        'connection: close, if-none-match, x-listed',
        'if-none-match: "listed in Connection, so for the next hop alone"',
        'x-listed: 1',
        'keep-alive: timeout=5',
        'te: trailers',
        'upgrade: websocket',
        'x-forwarded-for: 10.0.0.1',
        'x-forwarded-host: evil.example',
        'x-forwarded-user: bob',
        'x-forwarded-access-token: abc',
        'x-remote-user: bob',
        'forwarded: for=10.0.0.1',
        'x-http-method-override: DELETE',
        'x-request-id: request-0002',
        `traceparent: ${traceparent}`,
        'tracestate: vendor=1',
        'accept: application/json',
        'accept-language: da',
      ]
      expect(await raw(`${request.join('\r\n')}\r\n\r\n`)).toMatch(/^HTTP\/1.1 200/)
      const { headers } = stack.upstreamRequests.at(-1)!
      expect(headers).toEqual({
        accept: 'application/json',
        'accept-language': 'da',
        authorization: expect.stringMatching(/^Bearer eyJ/),
        connection: 'keep-alive',
        host: new URL(stack.upstream.url).host,
        traceparent,
        tracestate: 'vendor=1',
        'x-request-id': 'request-0002',
      })
      const traceId = '0af7651916cd43dd8448eb211c80319c'
      for (const invalid of [
        '00-x',
        `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
        `00-${traceId}-${'0'.repeat(16)}-01`,
      ]) {
        await get('/api/reports', {
          traceparent: invalid,
          tracestate: 'vendor=1',
          'x-request-id': '<script>',
        })
        const last = stack.upstreamRequests.at(-1)!.headers
        expect([last.traceparent, last.tracestate]).toEqual([undefined, undefined])
        expect(last['x-request-id']).toMatch(/^[\w-]{36}$/)
      }
    })

    test.each([
      '/api/reports/..%2finvalidate/2026-01-31',
      '/api/reports/..%2f..%2finvalidate',
      '/api/reports/%2e%2e/invalidate',
      '/api/reports/../invalidate',
      '/api/reports/./cdn/2026-01-31',
      '/api/reports//2026-01-31',
      '/api//reports',
      '//evil.example/api/reports',
      '/api/reports/..\\invalidate',
      '/api/reports/%5c..%5cinvalidate',
      '/api/reports/%252e%252e/invalidate',
      '/api/reports/%00',
      '/api/reports/%zz',
      '/api/reports/\u00e9',
    ])('a path that could be read in two ways reaches nobody: %s', expectReachesNobody)

    test.each([
      'http://evil.example/api/reports',
      '/api/reports@evil.example',
      '/api/reports@127.0.0.1:1/2026-01-31',
      '/api/reportsx',
      '/api',
      '/api/invalidate',
      '/api/reports/cdn',
      '/api/reports/a/2026-01-31/b',
      '/api/reports/Report/2026-01-31',
    ])('what no route declares reaches nobody: %s', expectReachesNobody)

    test.each([
      ['two lengths', 'content-length: 5\r\ncontent-length: 6'],
      ['length and chunks', 'content-length: 5\r\ntransfer-encoding: chunked'],
      ['an obscured encoding', 'transfer-encoding: xchunked'],
      ['a space before the colon', 'content-length : 5'],
      ['two hosts', 'host: y\r\ntransfer-encoding: chunked'],
      ['a folded header', 'x-a: 1\r\n b'],
      ['a bare newline in a header', 'x-a: 1\n\nGET /invalidate HTTP/1.1'],
      ['headers beyond all measure', `x-a: ${'a'.repeat(20_000)}`],
    ])('a request with %s is refused and never passed on', async (_what, headers) => {
      const before = stack.upstreamRequests.length
      const answer = await raw(
        `POST /api/reports HTTP/1.1\r\nhost: x\r\ncookie: ${cookie}\r\nx-tendon-csrf: 1\r\n${headers}\r\n\r\n0\r\n\r\nGET /api/reports HTTP/1.1\r\nhost: x\r\n\r\n`,
      )
      // By the parser, and not because the method is none of the route's; and the connection ends there.
      expect(answer).toMatch(/^HTTP\/1.1 (400|431) /)
      expect(answer.match(/HTTP\/1.1 /g)).toHaveLength(1)
      expect(stack.upstreamRequests).toHaveLength(before)
    })

    test('parameters that are not declared, or stand twice, do not pass', async () => {
      const before = stack.upstreamRequests.length
      for (const query of [
        'user_id=7',
        'format=csv&format=json',
        'format=..%2fcsv',
        'format=',
        `user_id=${demoPeople.alice.customerId}&user_id=${demoPeople.bob.customerId}`,
        `user_id=${demoPeople.alice.customerId}&user%5Fid=${demoPeople.bob.customerId}`,
      ]) {
        expect(await codeOf(await get(`/api/reports?${query}`)), query).toEqual([400, 'TENDON-BFF-011'])
      }
      expect(stack.upstreamRequests).toHaveLength(before)
    })

    test('methods that are not declared are refused with those that are', async () => {
      for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
        const headers = { cookie, 'x-tendon-csrf': '1' }
        const response = await fetch(`${stack.url}/api/reports`, { method, headers })
        expect(response.headers.get('allow')).toBe('GET, HEAD')
        expect(await codeOf(response)).toEqual([405, 'TENDON-BFF-020'])
      }
      expect(await codeOf(await get('/api/reports', { cookie: '' }))).toEqual([401, 'TENDON-BFF-001'])
    })

    test('every answer carries the security headers, errors too', async () => {
      for (const path of ['/api/reports', '/api/none', '/auth/me', '/callback', '/none']) {
        const { headers } = await get(path)
        const policy = headers.get('content-security-policy') ?? ''
        expect(policy, path).toContain("frame-ancestors 'none'")
        expect(policy).not.toContain('unsafe')
        expect(headers.get('x-content-type-options')).toBe('nosniff')
        expect(headers.get('referrer-policy')).toBe('same-origin')
        expect(headers.get('access-control-allow-origin')).toBeNull()
        if (path !== '/none') expect(headers.get('cache-control'), path).toBe('no-store')
      }
    })

    test('a logout token that the provider has not signed as it is ends nothing; the one that it has ends the session', async () => {
      const browser = new TestBrowser()
      await browser.signIn(stack.loginUrl, 'bob')
      const sent = Promise.withResolvers<string>()
      stack.hooks.insteadOfBff = (request) => {
        if (!request.url.endsWith('/auth/backchannel-logout')) return undefined
        return request.text().then((body) => {
          sent.resolve(new URLSearchParams(body).get('logout_token')!)
          return new Response(null, { status: 503 })
        })
      }
      const page = await browser.open(stack.provider.signOutPage)
      await browser.submit(page, {}, `${stack.url}/`)
      const genuine = await sent.promise
      stack.hooks.insteadOfBff = undefined

      const claims = decodeJwt(genuine)
      const [header, , signature] = genuine.split('.')
      const signed = (alg: string, key: CryptoKey | Uint8Array) =>
        new SignJWT(claims).setProtectedHeader({ ...decodeProtectedHeader(genuine), alg }).sign(key)
      const altered = Buffer.from(JSON.stringify({ ...claims, jti: randomUUID() })).toString('base64url')
      const forgeries = {
        'signed by nobody': new UnsecuredJWT(claims).encode(),
        'signed by a stranger': await signed('RS256', (await generateKeyPair('RS256')).privateKey),
        'signed with the client secret': await signed(
          'HS256',
          new TextEncoder().encode(stack.provider.clientSecret),
        ),
        'signed, and altered since': [header, altered, signature].join('.'),
      }
      const send = (token: string) =>
        fetch(`${stack.url}/auth/backchannel-logout`, {
          method: 'POST',
          body: new URLSearchParams({ logout_token: token }),
        })
      const me = async () => (await browser.request(`${stack.url}/auth/me`)).status
      for (const [what, token] of Object.entries(forgeries)) {
        expect(await codeOf(await send(token)), what).toEqual([400, 'TENDON-BFF-013'])
        expect(await me(), what).toBe(200)
      }
      expect((await send(genuine)).status).toBe(200)
      expect(await me()).toBe(401)
    })
  })
}
