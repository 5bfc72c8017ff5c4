import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generationKeyPrefix, invalidationsChannel } from '@tendon/contracts/invalidations.ts'
import { freePort } from '@tendon/platform/free-port.ts'
import { createRedisKeyValue } from '@tendon/platform/key-value-redis.ts'
import { createLog } from '@tendon/platform/log.ts'
import { demoPeople } from '@tendon/sources/demo-people.ts'
import { expect, onTestFinished, test, vi } from 'vitest'
import { TestBrowser } from '../fixtures/test-browser.fixture.ts'
import { openEventStream } from '../fixtures/test-event-stream.fixture.ts'
import { eventuallyMs, startTestStack } from '../fixtures/test-stack.fixture.ts'

/** nginx as it comes, in front of two instances: it buffers answers, and gives up on one that is silent for a second. */
async function startNginx(upstreams: string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tendon-nginx-'))
  const port = await freePort('127.0.0.1')
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${name};`,
  )
  const servers = upstreams.map((url) => `server ${new URL(url).host};`)
  const configuration = `daemon off; pid nginx.pid; error_log stderr crit; events {}
    http { access_log off; ${temporary.join(' ')} upstream bff { ${servers.join(' ')} }
      server { listen 127.0.0.1:${port};
        location / { proxy_pass http://bff; proxy_set_header Host $http_host; proxy_http_version 1.1; proxy_read_timeout 1s; } } }`
  await writeFile(join(folder, 'nginx.conf'), configuration)
  const child = spawn('nginx', ['-p', `${folder}/`, '-c', join(folder, 'nginx.conf')], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  onTestFinished(async () => {
    const exited = once(child, 'exit')
    child.kill()
    await exited
    await rm(folder, { recursive: true })
  })
  const url = `http://127.0.0.1:${port}`
  await vi.waitFor(() => fetch(`${url}/healthz`), eventuallyMs)
  return url
}

test('events pass through nginx at once, on Redis, whichever instance one is connected to', async () => {
  const { alice } = demoPeople
  const redisUrl = process.env.REDIS_URL
  if (!redisUrl) throw new Error('REDIS_URL is not set')
  const log = createLog({ service: 'test', level: 'fatal' })
  const stack = await startTestStack({ openKeyValue: () => createRedisKeyValue({ url: redisUrl, log }) })
  onTestFinished(() => stack.stop())
  await stack.startBff()
  const keyValue = createRedisKeyValue({ url: redisUrl, log })
  onTestFinished(async () => {
    await keyValue.delete(generationKeyPrefix + alice.customerId)
    await keyValue.close()
  })
  const url = await startNginx(stack.bffs.map(({ server }) => server.url))
  const browser = new TestBrowser()
  await browser.signIn(stack.loginUrl, 'alice')
  const cookie = `session_id=${browser.cookie('session_id')!.value}`
  // One after the other goes to each of the two.
  const streams = [
    await openEventStream(`${url}/api/events`, { cookie }),
    await openEventStream(`${url}/api/events`, { cookie }),
  ]
  for (const stream of streams) onTestFinished(stream.close)
  // Longer than nginx waits for what is silent.
  await vi.waitFor(
    () => expect(Math.min(...streams.map((stream) => stream.heartbeats()))).toBeGreaterThan(15),
    eventuallyMs,
  )
  const generation = randomUUID().replaceAll('-', '')
  await keyValue.set(generationKeyPrefix + alice.customerId, generation)
  await keyValue.publish(invalidationsChannel, [JSON.stringify([[alice.customerId, generation]])])
  for (const { events } of streams) {
    await vi.waitFor(
      () => expect(events.at(-1)).toMatchObject({ event: 'invalidated', id: generation }),
      eventuallyMs,
    )
  }
})
