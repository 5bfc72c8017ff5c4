import type { IncomingMessage, Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { serve } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import type { HttpApp, HttpEnv } from './http-app.ts'
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
  const server = await new Promise<Server>((resolve, reject) => {
    const starting = serve({ fetch: refusing(app.fetch), hostname: host, port: options.port }, () =>
      resolve(starting),
    ) as Server
    starting.once('error', (err: NodeJS.ErrnoException) => {
      reject(
        err.code === 'EADDRINUSE'
          ? platformErrors.portTaken(`Port ${options.port} on ${host} is taken.`, { cause: err })
          : err,
      )
    })
  })
  server.keepAliveTimeout = keepAliveMs
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
      return new Response(null, { status: 405, headers: { allow: 'GET, HEAD, POST, PUT, PATCH, DELETE' } })
    }
    const [bindings] = rest as [HttpEnv['Bindings']]
    if (hasSeveralHosts(bindings.incoming)) {
      return new Response(null, { status: 400, headers: { connection: 'close' } })
    }
    const answered = answer(request, ...rest)
    return request.method === 'HEAD' ? onlyOnce(answered, bindings.outgoing) : answered
  }
}

/** Hono answers HEAD with a copy of what GET gives, by which `RESPONSE_ALREADY_SENT` is no longer known. */
async function onlyOnce(
  answered: Response | Promise<Response>,
  outgoing: HttpEnv['Bindings']['outgoing'],
): Promise<Response> {
  const response = await answered
  return outgoing.headersSent || outgoing.destroyed ? RESPONSE_ALREADY_SENT : response
}

/** Whoever is in front may have gone by the other one (RFC 9112 §3.2). */
function hasSeveralHosts({ rawHeaders }: IncomingMessage): boolean {
  let hosts = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]!.length === 4 && rawHeaders[at]!.toLowerCase() === 'host') hosts += 1
  }
  return hosts > 1
}
