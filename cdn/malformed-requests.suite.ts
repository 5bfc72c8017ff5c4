import { randomUUID } from 'node:crypto'
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { platformErrors } from '@tendon/platform/platform-errors.ts'
import { signPath } from '@tendon/platform/url-signature.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CdnUnderTest, expectProblem } from './cdn-conformance.suite.ts'

/** What no client library sends: refused in one form as everything else is, and nothing behind it is taken for a request. */
export function malformedRequestsSuite(name: string, start: () => Promise<CdnUnderTest>): void {
  const path = `/reports/${randomUUID()}/object.json`

  describe.concurrent(`malformed requests: ${name}`, () => {
    let cdn: CdnUnderTest
    beforeAll(async () => {
      cdn = await start()
      await cdn.putObject(path.slice(1), Buffer.from('"the object"'), { contentType: 'application/json' })
    })
    afterAll(() => cdn?.close())

    const link = (signedPath = path) =>
      signPath({
        method: 'GET',
        path: signedPath,
        expiresAtS: Math.floor(Date.now() / 1000) + 300,
        keys: cdn.keys,
      })
    const get = (target: string, headers = '') => `GET ${target} HTTP/1.1\r\nHost: cdn\r\n${headers}\r\n`

    test.each<[string, (link: string) => string]>([
      ['no request line', () => 'hello\r\n\r\n'],
      ['a method in lower case', (link) => get(link).replace('GET', 'get')],
      ['a version that there is not', (link) => get(link).replace('HTTP/1.1', 'HTTP/9.9')],
      ['no host', (link) => `GET ${link} HTTP/1.1\r\n\r\n`],
      ['two hosts', (link) => get(link, 'Host: other\r\n')],
      ['a host that is none', (link) => get(link).replace('Host: cdn', 'Host: a b')],
      ['an address without its slash', (link) => get(link.slice(1))],
      ['a space in its address', (link) => get(link.replace('.json', ' .json'))],
      ['a zero byte in its address', (link) => get(link.replace('.json', '\0.json'))],
      ['a zero byte in a header', (link) => get(link, 'X: a\0b\r\n')],
      ['an address beyond all measure', () => get(`/${'a'.repeat(70_000)}`)],
      ['headers beyond all measure', (link) => get(link, `X: ${'a'.repeat(70_000)}\r\n`)],
      ['a space before a colon', (link) => get(link, 'X : a\r\n')],
      ['a folded header', (link) => get(link, 'X: a\r\n b\r\n')],
      ['two lengths', (link) => get(link, 'Content-Length: 0\r\nContent-Length: 5\r\n')],
      ['a negative length', (link) => get(link, 'Content-Length: -1\r\n')],
      ['a length and chunks', (link) => get(link, 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n')],
      ['an obscured encoding', (link) => get(link, 'Transfer-Encoding: xchunked\r\n')],
    ])('one with %s', async (_, malformed) => {
      const [answer, ...others] = await exchange(cdn.baseUrl, `${malformed(link())}${get(link())}`)
      expectProblem(answer!, platformErrors.requestRefused)
      expect(others).toEqual([])
    })

    test.each([
      ['a length', (body: string) => `Content-Length: ${body.length}\r\n\r\n${body}`],
      [
        'chunks',
        (body: string) =>
          `Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
      ],
    ])(
      'of several at once each is answered for itself, and a body with %s is none of them',
      async (_, withBody) => {
        // The first one, with the body, fetches the object.
        const object = `/reports/${randomUUID()}/object.json`
        await cdn.putObject(object.slice(1), Buffer.from('"the object"'), { contentType: 'application/json' })
        const answers = await exchange(
          cdn.baseUrl,
          get(link(object)).replace(/\r\n$/, withBody(get(object))) +
            get(object) +
            get(link(object), 'Connection: close\r\n'),
        )
        expect(answers.map(({ status }) => status)).toEqual([200, 403, 200])
      },
    )
  })
}

/** What a server answers to these bytes, until it closes the connection. */
async function exchange(baseUrl: string, bytes: string) {
  const { hostname, port, protocol } = new URL(baseUrl)
  const socket =
    protocol === 'https:'
      ? connectTls({ host: hostname, port: Number(port), rejectUnauthorized: false })
      : connect({ host: hostname, port: Number(port) })
  socket.write(bytes, 'latin1')
  let text = ''
  socket.setEncoding('latin1').on('data', (chunk) => {
    text += chunk
  })
  // One that refuses in the middle of a request may reset the connection behind its answer.
  socket.on('error', () => {})
  await new Promise((resolve) => socket.once('close', resolve))
  return text
    .split(/(?=HTTP\/1\.1 \d{3} )/)
    .filter(Boolean)
    .map((answer) => {
      const [head = '', body = ''] = answer.split('\r\n\r\n')
      const [statusLine = '', ...fields] = head.split('\r\n')
      const headers = Object.fromEntries(
        fields.map((field) => [field.split(': ')[0]!.toLowerCase(), field.slice(field.indexOf(': ') + 2)]),
      )
      return { status: Number(statusLine.split(' ')[1]), headers, body: Buffer.from(body, 'latin1') }
    })
}
