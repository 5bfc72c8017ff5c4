import { once } from 'node:events'
import { connect } from 'node:net'
import { Hono } from 'hono'
import { expect, onTestFinished, test } from 'vitest'
import { listen } from './http-server.ts'
import { createLog } from './log.ts'

/** A connection on which the bytes can be sent that no client library sends. */
async function connected(app: Hono) {
  const server = await listen(app, { port: 0, log: createLog({ service: 'demo', level: 'fatal' }) })
  onTestFinished(() => server.close())
  const socket = connect(server.port, '127.0.0.1').setEncoding('latin1')
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk
  })
  const closed = once(socket, 'close')
  return {
    socket,
    /** All that was answered, once the server has closed the connection. */
    async answered() {
      await closed
      return text
    },
  }
}

test.each([
  ['no request at all', 'hello\r\n\r\n', 400, 'TENDON-PLATFORM-014'],
  ['a host that is none', 'GET / HTTP/1.1\r\nhost: a b\r\n\r\n', 400, 'TENDON-PLATFORM-014'],
  ['no host', 'GET / HTTP/1.1\r\n\r\n', 400, 'TENDON-PLATFORM-014'],
  ['a method that is never served', 'TRACE / HTTP/1.1\r\nhost: x\r\n\r\n', 405, 'TENDON-PLATFORM-015'],
])('%s is told as a problem document, and nothing is read behind it', async (_, request, status, code) => {
  const { socket, answered } = await connected(new Hono().get('/', (c) => c.text('behind')))
  socket.write(`${request}GET / HTTP/1.1\r\nhost: x\r\n\r\n`)
  const [head, body] = (await answered()).split('\r\n\r\n')
  expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
  expect(head!.toLowerCase()).toContain('content-type: application/problem+json\r\n')
  expect(JSON.parse(body!)).toMatchObject({ status, code })
})

test('what is malformed behind an answer that has begun is not told in the middle of it', async () => {
  const begun = Promise.withResolvers<void>()
  const app = new Hono().get('/', () => {
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('the beginning'))
        begun.resolve()
      },
    })
    return new Response(body)
  })
  const { socket, answered } = await connected(app)
  socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
  await begun.promise
  await once(socket, 'data')
  socket.write('hello\r\n\r\n')
  expect((await answered()).match(/HTTP\/1\.1 /g)).toHaveLength(1)
})

test.each([
  ['an expectation that nobody knows', 'GET / HTTP/1.1\r\nhost: x\r\nexpect: wonders\r\n'],
  ['an old version without a host', 'GET / HTTP/1.0\r\n'],
])('a request with %s is answered', async (_, request) => {
  const { socket, answered } = await connected(new Hono().get('/', (c) => c.text('answered')))
  socket.write(`${request}connection: close\r\n\r\n`)
  expect(await answered()).toMatch(/^HTTP\/1\.1 200 (?:.|\s)*answered$/)
})
