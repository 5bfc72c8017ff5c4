import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { getRequestListener, RequestError } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import type { TendonError } from './errors.ts'
import { type HttpApp, type HttpEnv, problemDocument } from './http-app.ts'
import type { Log } from './log.ts'
import { platformErrors } from './platform-errors.ts'

export type HttpServer = {
  /** `http://<host>:<port>`, without a slash at the end. */
  url: string
  port: number
  /** Stops accepting, lets requests in flight finish within the bound, then cuts what is left. */
  close(): Promise<void>
}

/**
 * Longer than proxies in front keep theirs (nginx `keepalive_timeout`, load balancers of clouds: 60 s): a connection that ends here
 * first may take a request with it that is just on its way, and who sent it sees 502.
 */
const keepAliveMs = 65_000
/** Answers take well below a second; what takes longer hangs, and must not use up the time that a stop has. */
const drainMs = 3_000

/**
 * Serves an app over HTTP.
 * @param options.port 0 for any free one
 * @param options.onClose called when closing begins, to end answers that never end by themselves
 * @throws TENDON-PLATFORM-004 when the port is taken
 */
export async function listen(
  app: Pick<HttpApp, 'fetch'>,
  options: { host?: string; port: number; log: Log; onClose?: () => void },
): Promise<HttpServer> {
  const { host = '127.0.0.1', log } = options
  const server = createServer(
    // Node would answer without a word: `refusing` looks at it.
    { requireHostHeader: false },
    getRequestListener(refusing(app.fetch), {
      hostname: host,
      errorHandler: (error) => refusalOf(error, log),
    }),
  )
  await new Promise<void>((resolve, reject) => {
    server.once('error', (err: NodeJS.ErrnoException) => {
      reject(
        err.code === 'EADDRINUSE'
          ? platformErrors.portTaken(`Port ${options.port} on ${host} is taken.`, { cause: err })
          : err,
      )
    })
    server.listen(options.port, host, resolve)
  })
  server.keepAliveTimeout = keepAliveMs
  tellWhatIsMalformed(server)
  const { port } = server.address() as AddressInfo
  log.debug({ host, port }, 'listening')
  return {
    url: `http://${host}:${port}`,
    port,
    async close() {
      options.onClose?.()
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      // A kept-alive connection turns idle only after its answer: look again until none is left.
      const sweep = setInterval(() => server.closeIdleConnections(), 20)
      const cut = setTimeout(() => server.closeAllConnections(), drainMs)
      await closed
      clearInterval(sweep)
      clearTimeout(cut)
    },
  }
}

/** What no service has a use for, and Node's parser lets through. */
function refusing(answer: HttpApp['fetch']): HttpApp['fetch'] {
  return (request, ...rest) => {
    // It would answer a browser with its own cookies (RFC 9110 §9.3.8), and the Fetch API has no requests of it.
    if (request.method === 'TRACE') {
      return refusal(platformErrors.methodRefused('TRACE is not served.'))
    }
    const [bindings] = rest as [HttpEnv['Bindings']]
    if (!hasItsHost(bindings.incoming)) {
      return refusal(malformed())
    }
    const answered = answer(request, ...rest)
    return request.method === 'HEAD' ? onlyOnce(answered, bindings.outgoing) : answered
  }
}

/** Requests that Node's parser refuses come to no handler: they are told in the form of everything else, and their connection ends. */
function tellWhatIsMalformed(server: Server): void {
  const lastAnswers = new WeakMap<object, ServerResponse>()
  server.on('request', ({ socket }, outgoing) => lastAnswers.set(socket, outgoing))
  // Of an expectation that it does not know, a server may take no notice (RFC 9110 §10.1.1).
  server.on('checkExpectation', (incoming, outgoing) => server.emit('request', incoming, outgoing))
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const answer = lastAnswers.get(socket)
    // In the middle of an answer it would be taken for a part of that. And a browser that has connected ahead, and sent
    // nothing in time, would take it for the answer to what it asks next.
    const isInAnswer = answer?.headersSent && !answer.writableFinished
    if (socket.writable && !isInAnswer && error.code !== 'ERR_HTTP_REQUEST_TIMEOUT')
      socket.write(refusalText())
    ;(socket as Socket).destroySoon()
  })
}

/** For what @hono/node-server could make no request of, as of a host that is none. */
function refusalOf(error: unknown, log: Log): Response {
  if (error instanceof RequestError) return refusal(malformed())
  log.error({ err: error }, 'request failed')
  return refusal(platformErrors.unexpected('Something went wrong on our side.'))
}

const malformed = () => platformErrors.requestRefused('This is no request of HTTP.')

function refusal(error: TendonError): Response {
  const { body, ...init } = refusalDocument(error)
  return new Response(body, init)
}

function refusalText(): string {
  const { status, headers, body } = refusalDocument(malformed())
  const fields = Object.entries({ ...headers, 'content-length': Buffer.byteLength(body) })
  const head = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head}\r\n${body}`
}

function refusalDocument(error: TendonError) {
  const { headers, ...rest } = problemDocument(error, randomUUID())
  return { ...rest, headers: { ...headers, 'x-content-type-options': 'nosniff', connection: 'close' } }
}

/** Hono answers HEAD with a copy of what GET gives, by which `RESPONSE_ALREADY_SENT` is no longer known. */
async function onlyOnce(
  answered: Response | Promise<Response>,
  outgoing: HttpEnv['Bindings']['outgoing'],
): Promise<Response> {
  const response = await answered
  return outgoing.headersSent || outgoing.destroyed ? RESPONSE_ALREADY_SENT : response
}

/** One, from HTTP/1.1 on. Of two, whoever is in front may have gone by the other one (RFC 9112 §3.2). */
function hasItsHost({ rawHeaders, httpVersion }: IncomingMessage): boolean {
  let hosts = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]!.length === 4 && rawHeaders[at]!.toLowerCase() === 'host') hosts += 1
  }
  return hosts === 1 || (hosts === 0 && httpVersion === '1.0')
}
