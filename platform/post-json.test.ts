import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { z } from 'zod'
import { PostJsonError, postJson } from './post-json.ts'

const retry = { attempts: 4, baseDelayMs: 1, maxDelayMs: 2 }
const response = z.object({ done: z.int() })
const servers: Server[] = []

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

type Request = { path: string | undefined; authorization: string | undefined; body: string }

/** Serves one answer after the other, the last one for ever, and keeps what was asked. */
async function serveAnswers(...answers: ((response: ServerResponse, request: IncomingMessage) => void)[]) {
  const requests: Request[] = []
  const server = createServer(async (request, reply) => {
    const chunks = await request.toArray()
    requests.push({
      path: request.url,
      authorization: request.headers.authorization,
      body: Buffer.concat(chunks).toString(),
    })
    const answer = answers.length > 1 ? answers.shift() : answers[0]
    answer?.(reply, request)
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/call?sig=secret`, requests }
}

const status =
  (code: number, body: unknown = {}) =>
  (reply: ServerResponse) =>
    reply.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body))
const cut = (_: ServerResponse, request: IncomingMessage) => request.socket.destroy()
const silent = () => {}

test('repeats what can succeed later, asking for the token each time', async () => {
  const { url, requests } = await serveAnswers(status(503), cut, status(429), status(200, { done: 3 }))
  let tokens = 0
  const answer = await postJson({
    url,
    token: async () => `token-${++tokens}`,
    body: { ids: ['a'] },
    response,
    retry,
  })
  expect(answer).toEqual({ done: 3 })
  expect(requests.map((request) => request.authorization)).toEqual(
    [1, 2, 3, 4].map((n) => `Bearer token-${n}`),
  )
  expect(requests.map((request) => request.body)).toEqual(Array(4).fill('{"ids":["a"]}'))
})

test('gives up after the last attempt and says what happened, without the query', async () => {
  const { url, requests } = await serveAnswers(status(503, { detail: 'The store is away.' }))
  const failure = await postJson({ url, body: {}, response, retry }).catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(PostJsonError)
  expect(failure).toMatchObject({
    status: 503,
    message: expect.stringMatching(
      /\/call was tried 4 times and failed \(status 503\): The store is away\.$/,
    ),
  })
  expect(requests).toHaveLength(4)
})

test.each([400, 401, 403, 404, 302])('does not repeat a call refused with %i', async (code) => {
  const { url, requests } = await serveAnswers(status(code), status(200, { done: 1 }))
  await expect(postJson({ url, body: {}, response, retry })).rejects.toMatchObject({ status: code })
  expect(requests).toHaveLength(1)
})

test('refuses an answer that is not what was agreed', async () => {
  const { url, requests } = await serveAnswers(status(200, { done: 'yes' }))
  await expect(postJson({ url, body: {}, response, retry })).rejects.toThrow('unexpected body')
  expect(requests).toHaveLength(1)
})

test('bounds each attempt and stops at once when aborted', async () => {
  const { url, requests } = await serveAnswers(silent)
  const twice = { ...retry, attempts: 2 }
  await expect(postJson({ url, body: {}, response, retry: twice, timeoutMs: 30 })).rejects.toThrow(
    'no answer in time',
  )
  expect(requests).toHaveLength(2)

  const abort = new AbortController()
  const call = postJson({ url, body: {}, response, retry, signal: abort.signal })
  abort.abort(new Error('stopping'))
  await expect(call).rejects.toThrow('stopping')
})

test('waits as long as the service asks, up to the bound', async () => {
  const busy = (reply: ServerResponse) => reply.writeHead(429, { 'retry-after': '1' }).end()
  const { url } = await serveAnswers(busy, status(200, { done: 1 }))
  const startedAt = performance.now()
  await postJson({ url, body: {}, response, retry: { attempts: 2, baseDelayMs: 1, maxDelayMs: 100 } })
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(95)
})
