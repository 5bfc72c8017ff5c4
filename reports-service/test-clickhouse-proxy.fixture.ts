import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Called when a query of this name has arrived, or its answer has; what waits goes on when it resolves. */
type OnQuery = (query: { name: string; when: 'before' | 'after' }) => Promise<void>

/**
 * Stands between a service and ClickHouse: counts queries by name, and lets a test in before one is sent or
 * after it was answered.
 */
export async function startClickHouseProxy(target: string) {
  const counts = new Map<string, number>()
  let onQuery: OnQuery = async () => {}

  const server = createServer(async (incoming, outgoing) => {
    const url = new URL(incoming.url ?? '/', target)
    const name = url.searchParams.get('log_comment') ?? ''
    counts.set(name, (counts.get(name) ?? 0) + 1)
    await onQuery({ name, when: 'before' })
    const forwarded = request(url, { method: incoming.method, headers: incoming.headers })
    forwarded.on('error', () => outgoing.destroy())
    forwarded.on('response', async (answer) => {
      const body = Buffer.concat(await answer.toArray().catch(() => []))
      await onQuery({ name, when: 'after' })
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers).end(body)
    })
    incoming.pipe(forwarded)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    count: (name: string) => counts.get(name) ?? 0,
    intercept(handler: OnQuery) {
      onQuery = handler
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
