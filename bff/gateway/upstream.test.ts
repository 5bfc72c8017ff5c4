import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { freePort } from '@tendon/platform/free-port.ts'
import { afterEach, expect, onTestFinished, test, vi } from 'vitest'
import { startTestStack, type TestStack } from '../fixtures/test-stack.fixture.ts'
import { filesAt, signInAtGateway, startInstance } from './test-files-route.fixture.ts'

let stack: TestStack
let headers: Record<string, string>
afterEach(() => stack?.stop())

const files = () => fetch(`${stack.url}/api/files`, { headers })
const textOf = async (answer: Promise<Response>) => (await answer).text()

/** As the reports service says that it cannot do its work now. */
const unavailable: RequestListener = (_request, response) => {
  response.writeHead(503, { 'content-type': 'application/problem+json', 'retry-after': '2' })
  response.end('{"code":"TENDON-REPORTS-007"}')
}

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
  for (const _turn of [1, 2])
    expect(await textOf(fetch(`${stack.url}/api/broken`, { headers }))).toBe('second')
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

test('of several instances one that answers failures is gone round, and is used again when it does not', async () => {
  let isWell = false
  let asked = 0
  const failing = await startInstance((request, response) => {
    asked += 1
    if (isWell) response.end('again')
    else unavailable(request, response)
  })
  stack = await startTestStack({
    upstream: (_request, response) => void response.end('well'),
    routes: (url) => [filesAt([failing, url], ['GET', 'POST'])],
  })
  headers = await signInAtGateway(stack)
  // It rests for a while, by a clock that stands.
  vi.useFakeTimers({ toFake: ['Date'] })
  onTestFinished(() => void vi.useRealTimers())
  for (let count = 0; count < 20; count += 1) expect(await textOf(files())).toBe('well')
  const together = await Promise.all(Array.from({ length: 40 }, () => textOf(files())))
  expect(new Set(together)).toEqual(new Set(['well']))
  expect(asked).toBe(1)
  // What may have been done is not asked twice; its answer is passed on.
  stack.clock.skewMs = 60_000
  const posts = [1, 2].map(() => fetch(`${stack.url}/api/files`, { method: 'POST', headers }))
  expect((await Promise.all(posts)).map(({ status }) => status).sort()).toEqual([200, 503])
  isWell = true
  stack.clock.skewMs = 120_000
  const later = await Promise.all(Array.from({ length: 20 }, () => textOf(files())))
  expect(new Set(later)).toEqual(new Set(['well', 'again']))
})

test('when all instances answer failures the answer is passed on whole, and each asks for one', async () => {
  const asked = [0, 0]
  const unavailableAt = (index: 0 | 1): RequestListener => {
    return (request, response) => {
      asked[index]! += 1
      unavailable(request, response)
    }
  }
  const second = await startInstance(unavailableAt(1))
  stack = await startTestStack({
    upstream: unavailableAt(0),
    routes: (url) => [filesAt([url, second], ['GET'])],
  })
  headers = await signInAtGateway(stack)
  vi.useFakeTimers({ toFake: ['Date'] })
  onTestFinished(() => void vi.useRealTimers())
  for (let count = 0; count < 10; count += 1) {
    const answer = await files()
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '2'])
    expect(await answer.json()).toEqual({ code: 'TENDON-REPORTS-007' })
  }
  // Both by the first request, and then one by each, in turn.
  expect(asked.sort()).toEqual([5, 6])
})

test('instances with nothing under way are asked in turn', async () => {
  const second = await startInstance((_request, response) => void response.end('second'))
  stack = await startTestStack({
    upstream: (_request, response) => void response.end('first'),
    routes: (url) => [filesAt([url, second], ['GET'])],
  })
  headers = await signInAtGateway(stack)
  const answers: string[] = []
  for (let count = 0; count < 4; count += 1) answers.push(await textOf(files()))
  expect(answers).toEqual(['first', 'second', 'first', 'second'])
})

test('what no instance has for one question keeps none of them from other questions', async () => {
  const restlessAt = (name: string): RequestListener => {
    return (request, response) => {
      if (request.url === '/files/restless') unavailable(request, response)
      else response.end(name)
    }
  }
  const second = await startInstance(restlessAt('second'))
  stack = await startTestStack({
    upstream: restlessAt('first'),
    routes: (url) => [filesAt([url, second], ['GET'])],
  })
  headers = await signInAtGateway(stack)
  vi.useFakeTimers({ toFake: ['Date'] })
  onTestFinished(() => void vi.useRealTimers())
  expect((await fetch(`${stack.url}/api/files/restless`, { headers })).status).toBe(503)
  const answers: string[] = []
  for (let count = 0; count < 4; count += 1) answers.push(await textOf(files()))
  expect(answers).toEqual(['first', 'second', 'first', 'second'])
})
