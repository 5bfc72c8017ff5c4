import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { onTestFinished } from 'vitest'

/** A name server that knows what it is told, for a second at a time (RFC 1035 §4). */
export async function startNameServer() {
  const addresses = new Map<string, string>()
  const socket = createSocket('udp4')
  socket.on('message', (query, { port, address }) => {
    const labels: string[] = []
    let end = 12
    for (; query[end] !== 0; end += query[end]! + 1) {
      labels.push(query.toString('latin1', end + 1, end + 1 + query[end]!))
    }
    const question = query.subarray(12, end + 5)
    const isForAddress = query.readUInt16BE(end + 1) === 1
    const known = isForAddress ? addresses.get(labels.join('.')) : undefined
    const header = Buffer.from(query.subarray(0, 12))
    header.writeUInt16BE(0x8180, 2)
    header.writeUInt16BE(known ? 1 : 0, 6)
    const answer = known ? [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, ...known.split('.').map(Number)] : []
    socket.send(Buffer.concat([header, question, Buffer.from(answer)]), port, address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  onTestFinished(() => void socket.close())
  return { addresses, address: `127.0.0.1:${socket.address().port}` }
}
