import { once } from 'node:events'
import { Agent, type IncomingMessage, type RequestListener, request } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { Client } from 'undici'
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { startTestStack, type TestStack } from '../fixtures/test-stack.fixture.ts'
import { filesAt, signInAtGateway } from './test-files-route.fixture.ts'

let stack: TestStack
let headers: Record<string, string>
let answer: RequestListener
beforeEach(async () => {
  stack = await startTestStack({
    upstream: (request, response) => answer(request, response),
    routes: (url) => [
      filesAt([url], ['GET', 'HEAD']),
      { ...filesAt([url], ['GET']), prefix: '/api/shared', isCoalesced: true },
    ],
  })
  headers = await signInAtGateway(stack)
})
afterEach(() => stack?.stop())

function connection(): Client {
  const client = new Client(stack.url)
  onTestFinished(() => client.destroy())
  return client
}

test('HEAD is answered as GET without its content, and the connection is kept', async () => {
  answer = (_request, response) =>
    void response.writeHead(200, { etag: '"1"', 'content-length': 4 }).end('four')
  const said = vi.spyOn(console, 'error').mockImplementation(() => {})
  onTestFinished(() => said.mockRestore())
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  onTestFinished(() => agent.destroy())
  const reused: boolean[] = []
  for (const method of ['HEAD', 'GET', 'HEAD']) {
    const asking = request(`${stack.url}/api/files`, { method, headers, agent }).end()
    const [given] = (await once(asking, 'response')) as [IncomingMessage]
    const { statusCode, headers: head } = given
    expect([statusCode, head.etag, head['content-length']]).toEqual([200, '"1"', '4'])
    // By then a proxy in front has let go of it.
    expect(head['keep-alive']).toBe('timeout=65')
    expect(await text(given)).toBe(method === 'GET' ? 'four' : '')
    reused.push(asking.reusedSocket)
  }
  expect(reused).toEqual([false, true, true])
  expect(said).not.toHaveBeenCalled()
})

test('HEAD of what a browser may not have is a problem without content', async () => {
  const { statusCode, body } = await connection().request({ path: '/api/files', method: 'HEAD' })
  expect([statusCode, await body.text()]).toEqual([401, ''])
})

/** What leaves the gateway, byte by byte, until it is all there. */
async function rawAnswer(path: string): Promise<string> {
  const socket = connect(Number(new URL(stack.url).port), '127.0.0.1')
  let received = ''
  socket.on('data', (chunk) => {
    received += chunk
  })
  socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\ncookie: ${headers.cookie}\r\nconnection: close\r\n\r\n`)
  await once(socket, 'close')
  return received
}

test('an answer without content says no length of it, whatever the service says', async () => {
  answer = (request) =>
    void request.socket.end('HTTP/1.1 204 No Content\r\ncontent-length: 5\r\nconnection: close\r\n\r\n')
  const sent = await rawAnswer('/api/files')
  expect(sent).toMatch(/^HTTP\/1\.1 204 /)
  expect(sent).not.toMatch(/content-length/i)
})

test('a client of HTTP/1.0 does not take a part of an answer for the whole', async () => {
  answer = (_request, response) => void response.write('part', () => response.destroy())
  const socket = connect(Number(new URL(stack.url).port), '127.0.0.1')
  socket.write(`GET /api/files HTTP/1.0\r\ncookie: ${headers.cookie}\r\n\r\n`)
  await expect(text(socket)).rejects.toMatchObject({ code: 'ECONNRESET' })
})

test('a hint that comes before the answer stays here, and the answer passes', async () => {
  answer = (_request, response) => {
    response.writeEarlyHints({ link: '</style.css>; rel=preload' })
    response.end('after the hint')
  }
  const sent = await rawAnswer('/api/files')
  expect(sent).toMatch(/^HTTP\/1\.1 200 [\s\S]*after the hint/)
  expect(sent).not.toContain('preload')
})

test('questions that have content are each asked, also where others are asked once for many', async () => {
  answer = async (request, response) => {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part)
    response.end(Buffer.concat(parts))
  }
  const ask = async (body: string) => {
    const { body: given } = await connection().request({ path: '/api/shared', method: 'GET', headers, body })
    return given.text()
  }
  const questions = Array.from({ length: 6 }, (_, index) => `question ${index}`)
  expect(await Promise.all(questions.map(ask))).toEqual(questions)
})
