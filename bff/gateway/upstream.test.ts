import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { freePort } from '@tendon/platform/free-port.ts'
import { afterEach, expect, onTestFinished, test, vi } from 'vitest'
import { startTestStack, type TestStack } from '../test-stack.fixture.ts'
import { filesAt, signInAtGateway } from './test-files-route.fixture.ts'

let stack: TestStack
let headers: Record<string, string>
afterEach(() => stack?.stop())

const files = () => fetch(`${stack.url}/api/files`, { headers })

test('what may have been done is not asked of another instance', async () => {
  const unused = await freePort('127.0.0.1')
  let asked = 0
  const breaking = createServer((request) => {
    asked += 1
    request.socket.destroy()
  })
  breaking.listen(0, '127.0.0.1')
  await once(breaking, 'listening')
  const broken = `http://127.0.0.1:${(breaking.address() as AddressInfo).port}`
  stack = await startTestStack({
    upstream: (_request, response) =>
      void response.writeHead(200, { 'content-type': 'text/plain' }).end('second'),
    routes: (url) => [
      { ...filesAt([broken, url], ['GET', 'POST']), prefix: '/api/broken' },
      { ...filesAt([`http://127.0.0.1:${unused}`, url], ['GET', 'POST']), prefix: '/api/refused' },
    ],
  })
  headers = await signInAtGateway(stack)
  const post = (path: string) => fetch(stack.url + path, { method: 'POST', headers })
  const doubtful = await post('/api/broken')
  expect([doubtful.status, (await doubtful.json()).code]).toEqual([502, 'TENDON-BFF-008'])
  expect([asked, stack.upstreamRequests.length]).toEqual([1, 0])
  // Nothing was sent to the one that has refused the connection.
  expect(await (await post('/api/refused')).text()).toBe('second')
  // And what changes nothing may be asked twice.
  stack.clock.skewMs = 60_000
  expect(await (await fetch(`${stack.url}/api/broken`, { headers })).text()).toBe('second')
  expect(asked).toBe(2)
  breaking.close()
})

test('of several instances one that fails is gone round, and is used again when it is back', async () => {
  const second = createServer((_request, response) =>
    response.writeHead(200, { 'content-type': 'text/plain' }).end('second'),
  )
  second.listen(0, '127.0.0.1')
  await once(second, 'listening')
  const { port } = second.address() as AddressInfo
  const upstream = `http://127.0.0.1:${port}`
  stack = await startTestStack({
    upstream: (_request, response) =>
      void response.writeHead(200, { 'content-type': 'text/plain' }).end('first'),
    routes: (url) => [filesAt([url, upstream], ['GET'])],
  })
  headers = await signInAtGateway(stack)
  const ask = async (count: number) => {
    const answers = await Promise.all(Array.from({ length: count }, async () => (await files()).text()))
    return new Set(answers)
  }
  expect(await ask(20)).toEqual(new Set(['first', 'second']))
  second.closeAllConnections()
  second.close()
  await once(second, 'close')
  // Whoever meets the one that is gone is sent on to the other: nobody sees it.
  expect(await ask(20)).toEqual(new Set(['first']))
  second.listen(port, '127.0.0.1')
  await once(second, 'listening')
  stack.clock.skewMs = 60_000
  expect(await ask(20)).toEqual(new Set(['first', 'second']))
  second.closeAllConnections()
  second.close()
})

test('of several instances one that takes requests and does not answer is gone round', async () => {
  const silent = createServer(() => {})
  silent.listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const { port } = silent.address() as AddressInfo
  stack = await startTestStack({
    upstream: (_request, response) =>
      void response.writeHead(200, { 'content-type': 'text/plain' }).end('well'),
    routes: (url) => [
      {
        ...filesAt([`http://127.0.0.1:${port}`, url], ['GET']),
        timeouts: { headersMs: 2_000, bodyMs: 5_000 },
      },
    ],
  })
  headers = await signInAtGateway(stack)
  // It rests for a while, by a clock that stands.
  vi.useFakeTimers({ toFake: ['Date'] })
  onTestFinished(() => void vi.useRealTimers())
  const late = await files()
  expect([late.status, (await late.json()).code]).toEqual([504, 'TENDON-BFF-009'])
  for (let count = 0; count < 3; count += 1) expect(await (await files()).text()).toBe('well')
  silent.closeAllConnections()
  silent.close()
})
