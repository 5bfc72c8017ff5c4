import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { createRedisKeyValue } from './key-value-redis.ts'
import { createLog } from './log.ts'

const log = createLog({ service: 'test', level: 'fatal' })

test('fails soon and with a code when Redis is not there', async () => {
  const keyValue = createRedisKeyValue({
    url: 'redis://user:the-password@127.0.0.1:1',
    log,
    commandTimeoutMs: 500,
  })
  onTestFinished(() => keyValue.close())
  for (const ask of [
    () => keyValue.check(),
    () => keyValue.get('a'),
    () => keyValue.acquireLease('a', 1_000),
  ]) {
    const startedAt = performance.now()
    const failure = await ask().catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'TENDON-PLATFORM-012' })
    expect(String(failure)).not.toContain('the-password')
    expect(performance.now() - startedAt).toBeLessThan(2_000)
  }
})

test('fails within its bound when Redis accepts but never answers', async () => {
  const server = createServer((socket) => socket.on('error', () => {}))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const keyValue = createRedisKeyValue({ url: `redis://127.0.0.1:${port}`, log, commandTimeoutMs: 200 })
  onTestFinished(async () => {
    await keyValue.close()
    server.close()
  })
  const asks = Array.from({ length: 20 }, () => keyValue.get('a'))
  for (const outcome of await Promise.allSettled(asks)) {
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'TENDON-PLATFORM-012' } })
  }
})
