import type { HttpEnv } from '@tendon/platform/http-app.ts'
import type { MiddlewareHandler } from 'hono'

/**
 * Cuts the connection of a client that takes nothing of its answer for so long: what is held for it, from the service
 * behind to its share of a session's streams, would be held until its network says that it is gone. Who waits for us, as
 * a stream of events that is silent, is left alone.
 */
export function stalledClients(options: { stallMs: number }): MiddlewareHandler<HttpEnv> {
  const { stallMs } = options
  return (c, next) => {
    // Node tells of a socket on which nothing moved, and then leaves it to this listener (node:http, 'timeout').
    c.env?.outgoing?.setTimeout(stallMs, () => {
      const { socket } = c.env.outgoing
      if (socket && socket.writableLength > 0) socket.destroy()
    })
    return next()
  }
}
