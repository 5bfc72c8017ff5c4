import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A way to a server on which streams of events end after their first part: for who reads answers to their end. */
export async function cutStreams(target: string): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer((incoming, outgoing) => {
    const { method, headers, url: path } = incoming
    const asked = request(target + path, { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode!, answer.headers)
      if (answer.headers['content-type']?.startsWith('text/event-stream')) {
        answer.once('data', (part) => {
          outgoing.end(part)
          answer.destroy()
        })
      } else answer.pipe(outgoing)
    })
    asked.once('error', () => outgoing.destroy())
    incoming.pipe(asked)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
