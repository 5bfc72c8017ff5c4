import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { Pool } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import { passThrough, type Recorder } from './pass-through.ts'

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function poolOf(url: string): Pool {
  const pool = new Pool(url)
  onTestFinished(() => pool.destroy())
  return pool
}

function get(url: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    request(url, (answer) => {
      let body = ''
      answer.on('data', (chunk) => {
        body += String(chunk)
      })
      answer.on('end', () => resolve({ status: answer.statusCode!, body }))
    })
      .on('error', reject)
      .end()
  })
}

test('of a service that breaks off before it was admitted, nothing is in the answer of the next', async () => {
  const broken = poolOf(
    await listening(
      createServer((_incoming, outgoing) => {
        outgoing.writeHead(200, { 'content-length': '10' })
        outgoing.write('AAAA', () => outgoing.destroy())
      }),
    ),
  )
  const whole = poolOf(
    await listening(createServer((_incoming, outgoing) => outgoing.writeHead(404).end('BBBBBBBBBB'))),
  )
  const kept: string[] = []
  const recorder: Recorder = { head: () => {}, chunk: (chunk) => kept.push(String(chunk)), end: () => {} }
  const lateAdmissions: Promise<unknown>[] = []
  const front = await listening(
    createServer(async (_incoming, outgoing) => {
      const exchange = { path: '/', method: 'GET' } as const
      const late = passThrough((handler) => broken.dispatch(exchange, handler), {
        outgoing,
        async admit(status) {
          const admitted = delay(100)
          lateAdmissions.push(admitted)
          await admitted
          return { status, headers: {} }
        },
        recorder,
      })
      await late.catch(() => {})
      await passThrough((handler) => whole.dispatch(exchange, handler), {
        outgoing,
        async admit(status) {
          // The former one is admitted first.
          await Promise.all(lateAdmissions)
          await delay(1)
          return { status, headers: {} }
        },
        recorder,
      })
    }),
  )
  expect(await get(front)).toEqual({ status: 404, body: 'BBBBBBBBBB' })
  expect(kept.join('')).toBe('BBBBBBBBBB')
})
