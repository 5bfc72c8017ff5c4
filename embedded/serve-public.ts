import type { IncomingMessage, ServerResponse } from 'node:http'
import type { HttpBindings } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { belowPrefix } from '@tendon/cdn/below-prefix.ts'
import { Hono } from 'hono'

type NodeHandler = (request: IncomingMessage, response: ServerResponse) => Promise<void>
type Fetch = Parameters<Hono['mount']>[1]

/** Where the parts that a browser needs stand on the one public port. */
export const publicPaths = { identityProvider: '/idp', cdn: '/cdn' } as const

/** All that a browser needs on one port, so that a tunnel or a container needs to carry no second one. */
export function createPublicApp(parts: {
  bff: { fetch: Fetch }
  /** Absent when a real provider or CDN is attached. */
  identityProvider?: NodeHandler | undefined
  cdn?: { fetch: Fetch } | undefined
}): Hono<{ Bindings: HttpBindings }> {
  const app = new Hono<{ Bindings: HttpBindings }>()
  const { bff, identityProvider, cdn } = parts
  if (identityProvider) {
    app.all(`${publicPaths.identityProvider}/*`, async (c) => {
      await identityProvider(c.env.incoming, c.env.outgoing)
      return RESPONSE_ALREADY_SENT
    })
  }
  // Mounted, not routed: the CDN checks the signature over the path below its base URL.
  if (cdn) app.mount(publicPaths.cdn, cdn.fetch, { replaceRequest: belowPrefix(publicPaths.cdn) })
  // As it came: a request made anew for what is mounted takes a third of a request's CPU (measured).
  app.all('*', (c) => bff.fetch(c.req.raw, c.env))
  return app
}
