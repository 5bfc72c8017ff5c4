import { randomUUID } from 'node:crypto'
import { platformErrors } from '@tendon/platform/platform-errors.ts'
import { startNativeStack } from '@tendon/platform/test-native-stack.fixture.ts'
import { signPath } from '@tendon/platform/url-signature.ts'
import { afterAll, expect, onTestFinished, test } from 'vitest'
import { askRaw, expectProblem } from './cdn-conformance.suite.ts'
import { startTestNginx } from './test-nginx.fixture.ts'

/** Of its own, for it kills it. */
const servers = await startNativeStack(11_000, ['minio'])
afterAll(() => servers.remove())

test('MinIO killed (-9) and back under load: what nginx has is served all the while, the rest is a clear 503 until then', async () => {
  const nginx = await startTestNginx()
  onTestFinished(() => nginx.close())
  const folder = `reports/prosthesis-daily/${randomUUID()}/2026-01-31`
  const put = (name: string) =>
    nginx.putObject(`${folder}/${name}`, Buffer.from(`"${name}"`), { contentType: 'application/json' })
  const ask = (name: string) => {
    const expiresAtS = Math.floor(Date.now() / 1000) + 300
    const link = signPath({ method: 'GET', path: `/${folder}/${name}`, expiresAtS, keys: nginx.keys })
    return askRaw(nginx.baseUrl, link, 'GET', {})
  }
  const others = Array.from({ length: 8 }, (_, n) => `other-${n}.json`)
  await Promise.all(['had.json', ...others].map(put))
  const { etag } = (await ask('had.json')).headers

  let isOver = false
  let refused = 0
  const isAway = Promise.withResolvers<void>()
  async function askHad(): Promise<void> {
    while (!isOver) {
      const { status, body, headers } = await ask('had.json')
      expect([status, body.toString(), headers.etag]).toEqual([200, '"had.json"', etag])
    }
  }
  /** Until it is there. */
  async function askOther(name: string): Promise<void> {
    for (;;) {
      const answer = await ask(name)
      if (answer.status === 200) {
        expect(answer.body.toString()).toBe(`"${name}"`)
        return
      }
      expectProblem(answer, platformErrors.objectStoreUnavailable)
      refused += 1
      if (refused === 50) isAway.resolve()
    }
  }
  const loaded = [1, 2, 3, 4].map(askHad)
  await servers.kill('minio')
  const fetched = others.map(askOther)
  await Promise.race([isAway.promise, Promise.all(fetched), ...loaded])
  await servers.up()
  await Promise.all(fetched)
  isOver = true
  await Promise.all(loaded)
})
