import { connect } from 'node:net'

/** All that a server sends for a GET of a client that takes gzip: status line, headers and body, in bytes. */
export async function bytesOnTheWire(address: string): Promise<number> {
  const { hostname, port, host, pathname, search } = new URL(address)
  const socket = connect({ host: hostname, port: Number(port) })
  socket.write(
    `GET ${pathname}${search} HTTP/1.1\r\nhost: ${host}\r\naccept-encoding: gzip\r\nconnection: close\r\n\r\n`,
  )
  let bytes = 0
  for await (const chunk of socket) bytes += (chunk as Buffer).length
  return bytes
}
