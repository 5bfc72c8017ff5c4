import { once } from 'node:events'
import { createServer } from 'node:net'
import { platformErrors } from './platform-errors.ts'

/**
 * A port that nothing listened on a moment ago, for what must be told its port before it listens.
 * @param port the one that must be free, or 0 for any
 * @throws TENDON-PLATFORM-004 when it is taken
 */
export async function freePort(host: string, port = 0): Promise<number> {
  const server = createServer().listen(port, host)
  try {
    await once(server, 'listening')
  } catch (cause) {
    throw platformErrors.portTaken(`Port ${port} on ${host} cannot be listened on.`, { cause })
  }
  const address = server.address()
  server.close()
  await once(server, 'close')
  return address !== null && typeof address === 'object' ? address.port : port
}
