import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createServer, type RequestListener, request, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { signPath } from '@tendon/platform/url-signature.ts'
import { onTestFinished } from 'vitest'
import { askRaw } from './cdn-conformance.suite.ts'
import { fromEnvironment, startTestNginx } from './test-nginx.fixture.ts'

/** Of this machine alone: where a door is, and where a name server may say that it is. */
const addresses = ['127.0.0.1', '127.0.0.2', '127.0.0.3']

export const json = { contentType: 'application/json' }

/**
 * nginx with MinIO behind a door: what goes through is counted, answers can get more headers, the door can be shut, and say
 * itself how the next ones end.
 * @param tls files of the door's certificate; it speaks plain HTTP without
 */
export async function behindDoor(
  env: Record<string, string> = {},
  tls?: { certificate: string; key: string },
  hostname = '127.0.0.1',
) {
  const target = new URL(fromEnvironment('S3_ENDPOINT'))
  const passed: { path: string; headers: Record<string, unknown>; address: string | undefined }[] = []
  const door = { isShut: false, headers: {} as Record<string, string>, nextStatuses: [] as number[] }
  const listener: RequestListener = (incoming, outgoing) => {
    const { localAddress: address } = incoming.socket
    passed.push({ path: incoming.url ?? '', headers: incoming.headers, address })
    if (door.isShut) {
      incoming.socket.destroy()
      return
    }
    const status = door.nextStatuses.shift()
    if (status !== undefined) {
      outgoing.writeHead(status).end()
      return
    }
    const forwarded = request(
      {
        host: target.hostname,
        port: target.port,
        path: incoming.url,
        method: incoming.method,
        headers: incoming.headers,
      },
      (answer) =>
        answer.pipe(outgoing.writeHead(answer.statusCode ?? 502, { ...answer.headers, ...door.headers })),
    )
    incoming.pipe(forwarded.on('error', () => outgoing.destroy()))
  }
  const certificate = tls && { cert: await readFile(tls.certificate), key: await readFile(tls.key) }
  const servers: Server[] = []
  let port = 0
  for (const address of addresses) {
    const server = certificate ? createTlsServer(certificate, listener) : createServer(listener)
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(port, address, resolve))
    port = (server.address() as AddressInfo).port
  }
  const endpoint = `${tls ? 'https' : 'http'}://${hostname}:${port}`
  const nginx = await startTestNginx({ ...env, S3_ENDPOINT: endpoint })
  onTestFinished(async () => {
    await nginx.close()
    for (const server of servers) {
      server.closeAllConnections()
      server.close()
    }
  })

  const folder = `reports/prosthesis-daily/${randomUUID()}/2026-01-31`
  const link = (name: string, method: 'GET' | 'HEAD' = 'GET') =>
    signPath({
      method,
      path: `/${folder}/${name}`,
      expiresAtS: Math.floor(Date.now() / 1000) + 300,
      keys: nginx.keys,
    })
  return {
    nginx,
    door,
    passed,
    put: (name: string, body: Uint8Array) => nginx.putObject(`${folder}/${name}`, body, json),
    link,
    ask: (name: string, method: 'GET' | 'HEAD' = 'GET', headers: Record<string, string> = {}) =>
      askRaw(nginx.baseUrl, link(name, method), method, headers),
  }
}
