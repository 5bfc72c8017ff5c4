import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import { connect } from 'node:net'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { eventuallyMs, startTestStack, type TestStack } from '../fixtures/test-stack.fixture.ts'
import { filesAt, signInAtGateway } from './test-files-route.fixture.ts'

let stack: TestStack
let headers: Record<string, string>
let answer: RequestListener
beforeEach(async () => {
  stack = await startTestStack({
    upstream: (request, response) => answer(request, response),
    routes: (url) => [
      filesAt([url], ['GET', 'POST']),
      { ...filesAt([url], ['GET']), prefix: '/api/others', audience: 'another-service' },
    ],
  })
  headers = await signInAtGateway(stack)
})
afterEach(() => stack?.stop())

const files = (init: RequestInit = {}) =>
  fetch(`${stack.url}/api/files`, { ...init, headers: { ...headers, ...init.headers } })

test('answers pass as they come, byte for byte', async () => {
  const content = randomBytes(3_000_000)
  const goOn = Promise.withResolvers<void>()
  answer = async (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': content.length })
    response.write(content.subarray(0, 1_000))
    await goOn.promise
    response.end(content.subarray(1_000))
  }
  const response = await files()
  const reader = response.body!.getReader()
  const first = await reader.read()
  // The rest is not sent before the first part has arrived here.
  expect(Buffer.from(first.value!).equals(content.subarray(0, first.value!.length))).toBe(true)
  goOn.resolve()
  const parts = [Buffer.from(first.value!)]
  for (let part = await reader.read(); !part.done; part = await reader.read())
    parts.push(Buffer.from(part.value))
  expect(Buffer.concat(parts).equals(content)).toBe(true)
})

test.each(['with its length', 'in chunks'])(
  'a short answer of all bytes there are, %s, passes as it is',
  async (form) => {
    const content = Buffer.from(Array.from({ length: 512 }, (_, index) => index % 256))
    answer = (_request, response) => {
      const length = form === 'in chunks' ? {} : { 'content-length': content.length }
      response.writeHead(200, { 'content-type': 'application/octet-stream', ...length })
      response.write(content.subarray(0, 100))
      response.end(content.subarray(100))
    }
    expect(Buffer.from(await (await files()).arrayBuffer()).equals(content)).toBe(true)
  },
)

test('where nothing is declared to be asked once for many, each asks', async () => {
  const arrived = [1, 2, 3].map(() => Promise.withResolvers<void>())
  const waiting = [...arrived]
  answer = async (_request, response) => {
    waiting.shift()!.resolve()
    await Promise.all(arrived.map(({ promise }) => promise))
    response.writeHead(200, { 'content-type': 'text/plain' }).end('own')
  }
  // None is answered before all have arrived.
  const answers = await Promise.all([files(), files(), files()])
  for (const own of answers) expect(await own.text()).toBe('own')
  const { body } = await stack.bffs[0]!.metrics.expose()
  expect(body).toContain('tendon_bff_coalesced_requests_total 0\n')
})

test('a slow reader slows the service down, and does not fill the gateway', async () => {
  let written = 0
  const chunk = Buffer.alloc(65_536)
  answer = (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/octet-stream' })
    const write = () => {
      while (written < 64_000_000 && response.write(chunk)) written += chunk.length
    }
    response.on('drain', write)
    write()
  }
  const leaving = new AbortController()
  await files({ signal: leaving.signal })
  let before = -1
  await vi.waitFor(
    () => {
      const isStill = written === before
      before = written
      expect(isStill).toBe(true)
    },
    { timeout: eventuallyMs, interval: 200 },
  )
  expect(written).toBeLessThan(32_000_000)
  leaving.abort()
})

test('bodies pass as they come, up to the limit that is declared', async () => {
  const received = Promise.withResolvers<Buffer>()
  answer = async (request, response) => {
    const chunks: Buffer[] = await Array.fromAsync(request).catch(() => [])
    received.resolve(Buffer.concat(chunks))
    response.writeHead(201, { 'content-type': 'text/plain', 'content-length': '0' }).end()
  }
  const content = randomBytes(90_000)
  const response = await files({ method: 'POST', body: content, headers: { 'content-type': 'image/png' } })
  expect(response.status).toBe(201)
  expect((await received.promise).equals(content)).toBe(true)
  expect(stack.upstreamRequests.at(-1)!.headers['content-type']).toBe('image/png')

  const before = stack.upstreamRequests.length
  const tooLarge = await files({ method: 'POST', body: Buffer.alloc(100_001) })
  expect([tooLarge.status, (await tooLarge.json()).code]).toEqual([413, 'TENDON-BFF-019'])
  expect(stack.upstreamRequests).toHaveLength(before)

  // Without a length the limit is found on the way.
  const endless = new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(10_000)) })
  const cut = await files({ method: 'POST', body: endless, duplex: 'half' } as RequestInit)
  expect([cut.status, (await cut.json()).code]).toEqual([413, 'TENDON-BFF-019'])
})

test('a service that breaks off leaves no answer that looks whole', async () => {
  answer = (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/plain', 'content-length': '100' })
    response.write('half', () => response.destroy())
  }
  await expect(files().then((response) => response.text())).rejects.toThrow()
})

test('browsers that leave in the middle leave nothing behind', async () => {
  const open = new Set<unknown>()
  answer = (_request, response) => {
    open.add(response)
    response.once('close', () => open.delete(response))
    response.writeHead(200, { 'content-type': 'text/plain' })
    response.write('begun')
  }
  for (let round = 0; round < 100; round += 1) {
    const leaving = new AbortController()
    const response = await files({ signal: leaving.signal })
    await response.body!.getReader().read()
    leaving.abort()
  }
  await vi.waitFor(() => expect(open.size).toBe(0), eventuallyMs)
  answer = (_request, response) => void response.writeHead(200, { 'content-type': 'text/plain' }).end('well')
  expect(await (await files()).text()).toBe('well')
})

test('a browser that leaves with several questions on one connection leaves none of them behind', async () => {
  const open = new Set<unknown>()
  answer = (_request, response) => {
    open.add(response)
    response.once('close', () => open.delete(response))
    response.writeHead(200, { 'content-type': 'text/plain' })
    // More than is held for a reader who takes nothing, as of an answer that waits for the one before it.
    response.write(Buffer.alloc(4_000_000))
  }
  const { hostname, port } = new URL(stack.url)
  const socket = connect(Number(port), hostname)
  await once(socket, 'connect')
  socket.write(`GET /api/files HTTP/1.1\r\nHost: localhost\r\nCookie: ${headers.cookie}\r\n\r\n`.repeat(3))
  await vi.waitFor(() => expect(open.size).toBe(3), eventuallyMs)
  socket.destroy()
  await vi.waitFor(() => expect(open.size).toBe(0), eventuallyMs)
})

test('signing out ends a long answer at its next part', async () => {
  const goOn = Promise.withResolvers<void>()
  answer = async (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/plain' })
    response.write('before')
    await goOn.promise
    response.write('after')
  }
  const reader = (await files()).body!.getReader()
  expect(Buffer.from((await reader.read()).value!).toString()).toBe('before')
  await fetch(`${stack.url}/auth/logout`, { method: 'POST', headers })
  goOn.resolve()
  await expect(reader.read()).rejects.toThrow()
})

test('what a service says of cookies, caching, other origins and itself stays here', async () => {
  answer = (_request, response) => {
    response.writeHead(200, {
      'content-type': 'text/html',
      'set-cookie': 'session_id=planted',
      'cache-control': 'public, max-age=3600',
      'access-control-allow-origin': '*',
      'content-security-policy': '',
      'strict-transport-security': 'max-age=0',
      connection: 'etag',
      etag: '"for the next hop"',
      server: 'secret/1.0',
      'x-powered-by': 'secret',
      location: 'https://evil.example',
    })
    response.end('<script>alert(1)</script>')
  }
  const response = await files()
  const names = [...response.headers.keys()]
  for (const name of [
    'set-cookie',
    'access-control-allow-origin',
    'server',
    'x-powered-by',
    'location',
    'etag',
    'strict-transport-security',
  ]) {
    expect(names).not.toContain(name)
  }
  expect(response.headers.get('cache-control')).toBe('no-store')
  expect(response.headers.get('content-security-policy')).toContain('sandbox')
})

test.each([
  ['the token', 401, { 'www-authenticate': 'Bearer' }],
  ['whoever stands before it', 407, { 'proxy-authenticate': 'Basic' }],
])('a service that does not accept %s is no reason to sign in again', async (_what, status, challenge) => {
  answer = (_request, response) => void response.writeHead(status, challenge).end()
  const response = await files()
  expect([response.status, (await response.json()).code]).toEqual([502, 'TENDON-BFF-008'])
  expect(Object.keys(challenge).filter((name) => response.headers.has(name))).toEqual([])
})

test('a token is not sent to a service that it is not for', async () => {
  const response = await fetch(`${stack.url}/api/others`, { headers })
  expect([response.status, (await response.json()).code]).toEqual([403, 'TENDON-BFF-018'])
  expect(stack.upstreamRequests).toHaveLength(0)
})

test('a client that takes nothing of its answer is cut, and one that waits for it is not', async () => {
  await stack.stop()
  const goOn = Promise.withResolvers<void>()
  let isCut = false
  stack = await startTestStack({
    stallMs: 200,
    upstream: async (request, response) => {
      response.writeHead(200, { 'content-type': 'application/octet-stream' })
      response.once('close', () => {
        isCut ||= !response.writableFinished
      })
      response.write('begun')
      if (request.url === '/files/late') await goOn.promise
      // More than sockets hold.
      else response.write(Buffer.alloc(64_000_000))
      response.end()
    },
    routes: (url) => [filesAt([url], ['GET'])],
  })
  headers = await signInAtGateway(stack)
  const late = await fetch(`${stack.url}/api/files/late`, { headers })
  const { hostname, port } = new URL(stack.url)
  const socket = connect(Number(port), hostname).pause()
  socket.on('error', () => {})
  socket.write(`GET /api/files HTTP/1.1\r\nHost: ${hostname}\r\nCookie: ${headers.cookie}\r\n\r\n`)
  await vi.waitFor(() => expect(isCut).toBe(true), eventuallyMs)
  socket.destroy()
  goOn.resolve()
  expect(await late.text()).toBe('begun')
})
