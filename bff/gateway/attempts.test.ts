import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import { type AddressInfo, connect, createServer as createSocketServer } from 'node:net'
import { Worker } from 'node:worker_threads'
import { freePort } from '@tendon/platform/free-port.ts'
import { expect, onTestFinished, test } from 'vitest'
import { startTestStack } from '../fixtures/test-stack.fixture.ts'
import { filesAt, signInAtGateway, startInstance } from './test-files-route.fixture.ts'

const timeouts = { headersMs: 4_000, bodyMs: 4_000 }

/** Asks a gateway with these instances behind it. @returns status, text and code of the answer, and how long it took */
async function gatewayTo(upstreams: string[], methods = ['GET']) {
  const stack = await startTestStack({ routes: () => [{ ...filesAt(upstreams, methods), timeouts }] })
  onTestFinished(() => stack.stop())
  const headers = await signInAtGateway(stack)
  return async (method = 'GET') => {
    const begunAtMs = performance.now()
    const response = await fetch(`${stack.url}/api/files`, { method, headers })
    const text = await response.text()
    const code = text.startsWith('{') ? JSON.parse(text).code : undefined
    return {
      status: response.status,
      headers: response.headers,
      text,
      code,
      ms: performance.now() - begunAtMs,
    }
  }
}

/** A port where connections wait for ever: its process does not take them, and its queue is full. */
async function startFullPort(): Promise<string> {
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads')
     const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
       parentPort.postMessage(server.address().port)
       setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0))
     })`,
    { eval: true },
  )
  const [port] = (await once(worker, 'message')) as [number]
  const waiting = [1, 2, 3].map(() => connect(port, '127.0.0.1').on('error', () => {}))
  // As many as a queue of one takes on Linux.
  await Promise.all(waiting.slice(0, 2).map((socket) => once(socket, 'connect')))
  onTestFinished(async () => {
    for (const socket of waiting) socket.destroy()
    await worker.terminate()
  })
  return `http://127.0.0.1:${port}`
}

test('a service to which no connection comes about is late, within the time that the route has', async () => {
  const ask = await gatewayTo([await startFullPort()])
  const { status, code, ms } = await ask()
  expect([status, code]).toEqual([504, 'TENDON-BFF-009'])
  expect(ms).toBeLessThan(timeouts.headersMs + 500)
})

test('a service that falls silent in the middle of its answer is waited for as long as the route says', async () => {
  const half: RequestListener = (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/plain', 'content-length': '100' }).write('half')
  }
  const ask = await gatewayTo([await startInstance(half)])
  const begunAtMs = performance.now()
  await expect(ask()).rejects.toThrow()
  expect(performance.now() - begunAtMs).toBeLessThan(timeouts.bodyMs * 2)
})

test('of several instances one to which no connection comes about is gone round, within that time', async () => {
  const ask = await gatewayTo([
    await startFullPort(),
    await startInstance((_, response) => void response.end('well')),
  ])
  const { text, ms } = await ask()
  expect(text).toBe('well')
  expect(ms).toBeLessThan(timeouts.headersMs)
})

test('all instances together have the time that the route has', async () => {
  const ask = await gatewayTo([await startFullPort(), await startInstance(() => {})])
  const { status, code, ms } = await ask()
  expect([status, code]).toEqual([504, 'TENDON-BFF-009'])
  expect(ms).toBeLessThan(timeouts.headersMs + 1_500)
})

const refusing: RequestListener = (_request, response) => {
  response.writeHead(503, { 'content-type': 'application/problem+json', 'retry-after': '7' })
  response.end('{"code":"TENDON-REPORTS-007"}')
}

test.each<[string, () => Promise<string>]>([
  ['cannot be reached', async () => `http://127.0.0.1:${await freePort('127.0.0.1')}`],
  ['is silent', () => startInstance(() => {})],
  ['breaks off', () => startInstance((request) => request.socket.destroy())],
])('what one instance has answered stands when the other %s', async (_what, startOther) => {
  const ask = await gatewayTo([await startInstance(refusing), await startOther()])
  const { status, headers, code, ms } = await ask()
  expect([status, headers.get('retry-after'), code]).toEqual([503, '7', 'TENDON-REPORTS-007'])
  expect(headers.get('cache-control')).toBe('no-store')
  expect(ms).toBeLessThan(timeouts.headersMs - 500)
})

test('a refusal that is too long to be kept, or does not end, keeps nobody from the other instance', async () => {
  const long: RequestListener = (_request, response) =>
    void response.writeHead(503).end(Buffer.alloc(1_000_000))
  const endless: RequestListener = (_request, response) => void response.writeHead(503).write('part')
  for (const first of [long, endless]) {
    const well = await startInstance((_, response) => void response.end('well'))
    const ask = await gatewayTo([await startInstance(first), well])
    expect((await ask()).text).toBe('well')
  }
})

/** Ends each connection at its second request: that of a service whose time for an idle one is just over. */
async function startForgetful(): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = []
  const server = createSocketServer((socket) => {
    let requests = 0
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      requests += 1
      asked.push(String(chunk).split(' ')[0]!)
      if (requests > 1) socket.destroy()
      else socket.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nwell')
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

test('a kept connection that ends as it is used costs nobody the answer of a service that is up', async () => {
  const service = await startForgetful()
  const ask = await gatewayTo([service.url])
  for (let count = 0; count < 4; count += 1) expect((await ask()).text).toBe('well')
})

test('and what may have been done is not asked again', async () => {
  const service = await startForgetful()
  const ask = await gatewayTo([service.url], ['GET', 'POST'])
  expect((await ask()).text).toBe('well')
  const { status, code } = await ask('POST')
  expect([status, code]).toEqual([502, 'TENDON-BFF-008'])
  expect(service.asked).toEqual(['GET', 'POST'])
})
