import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { authenticate, type Credentials } from './authentication.ts'
import { clickHouseException } from './clickhouse-exception.ts'
import type { Engine } from './engine.ts'
import { readStatement } from './http-request.ts'
import { writeException, writeResult } from './http-response.ts'
import { urlParameters } from './url-parameters.ts'

export type HttpServer = { port: number; close(): Promise<void> }

/** Serves ClickHouse's HTTP interface (https://clickhouse.com/docs/interfaces/http), on loopback only. */
export async function startHttpServer(
  engine: Engine,
  options: { port: number; credentials: Credentials },
): Promise<HttpServer> {
  const server = createServer({ keepAliveTimeout: 10_000, requestTimeout: 0 }, (request, response) => {
    // A connection that was busy when the server began to close would otherwise be kept alive.
    response.once('close', () => {
      if (!server.listening) setImmediate(() => server.closeIdleConnections())
    })
    void answer(engine, options.credentials, request, response)
  })
  server.listen(options.port, '127.0.0.1')
  await once(server, 'listening')
  return { port: (server.address() as AddressInfo).port, close: () => closeServer(server) }
}

async function answer(
  engine: Engine,
  credentials: Credentials,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const path = (request.url ?? '/').split('?', 1)[0]
    if (path === '/ping' || path === '/replicas_status') response.end('Ok.\n')
    else if (path === '/') await answerStatement(engine, credentials, request, response)
    else response.writeHead(404).end(`There is no handle ${path}\n`)
  } catch (error) {
    // Once a result has begun, all that can go wrong is that the client went away.
    if (response.headersSent || response.destroyed) response.destroy()
    else writeException(response, error)
  }
}

async function answerStatement(
  engine: Engine,
  credentials: Credentials,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = urlParameters(request.url ?? '/')
  response.setHeader('X-ClickHouse-Query-Id', url.get('query_id')?.toString() || randomUUID())
  response.setHeader('X-ClickHouse-Server-Display-Name', 'chdb-server')
  response.setHeader('X-ClickHouse-Timezone', 'UTC')
  authenticate(request.headers, url, credentials)
  const abort = new AbortController()
  response.once('close', () => abort.abort())

  const statement = await readStatement(request, url, abort.signal)
  if (statement.sql.length === 0 && !statement.body) {
    throw clickHouseException(62, 'Syntax error: Empty query')
  }
  await using result = await engine.run(statement)
  await writeResult(response, result, acceptedEncoding(request, url))
}

/** Like ClickHouse, compresses only when asked to by both the setting and the header. */
function acceptedEncoding(
  request: IncomingMessage,
  url: ReadonlyMap<string, Buffer>,
): 'gzip' | 'zstd' | undefined {
  if (url.get('enable_http_compression')?.toString() !== '1') return undefined
  const accepted = request.headers['accept-encoding']?.toString() ?? ''
  if (accepted.includes('gzip')) return 'gzip'
  return accepted.includes('zstd') ? 'zstd' : undefined
}

/** Takes no new requests, and waits for the answers under way. */
async function closeServer(server: Server): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  server.closeIdleConnections()
  await closed
}
