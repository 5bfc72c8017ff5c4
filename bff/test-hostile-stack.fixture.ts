import { getRequestListener } from '@hono/node-server'
import { readConfig } from '@tendon/platform/config.ts'
import type { KeyValue } from '@tendon/platform/key-value.ts'
import { createMemoryKeyValue } from '@tendon/platform/key-value-memory.ts'
import { createMetrics } from '@tendon/platform/metrics.ts'
import { platformErrors } from '@tendon/platform/platform-errors.ts'
import { createBff } from './bff.ts'
import { startHostileProvider } from './hostile-provider.fixture.ts'
import { bffOptions } from './options.ts'

export type HostileStack = Awaited<ReturnType<typeof startHostileStack>>
/** What the provider is to say next. */
export type Said = Parameters<HostileStack['provider']['say']>[0]

/** A bff whose provider says whatever it is told to. */
export async function startHostileStack() {
  const clock = { skewMs: 0 }
  /** Whether it cannot be reached by whoever deletes. */
  const store = { isAway: false }
  const memory = createMemoryKeyValue()
  const keyValue: KeyValue = {
    ...memory,
    async delete(key) {
      if (store.isAway) throw platformErrors.keyValueUnavailable('away')
      return memory.delete(key)
    },
  }
  const provider = await startHostileProvider()
  const env = {
    PUBLIC_URL: 'http://localhost:8080',
    OIDC_ISSUER: provider.issuer,
    OIDC_CLIENT_SECRET: 'secret',
    REPORTS_SERVICE_URL: 'http://127.0.0.1:1',
    SESSION_KEYS: `k1:${Buffer.alloc(32, 1).toString('base64')}`,
  }
  const bff = createBff({
    config: readConfig('bff', bffOptions, { env }),
    keyValue,
    log: provider.log,
    metrics: createMetrics('bff'),
    now: () => Date.now() + clock.skewMs,
  })

  // Nothing listens; but wherever the bff is served, `Response` is this library's, and no longer that of fetch.
  getRequestListener(bff.app.fetch)
  const request = (path: string, init: RequestInit = {}) => bff.app.request(path, init)

  async function signIn() {
    const begun = await request('/auth/login')
    return finish(cookiesOf(begun), provider.answer(begun.headers.get('location') ?? ''))
  }

  /** The callback that the provider sends the browser to, and what comes of it. */
  async function finish(cookie: string, callback: string) {
    const page = await request(callback, { headers: { cookie } })
    const session = page.headers.getSetCookie().find((line) => line.startsWith('session_id='))
    return {
      status: page.status,
      text: await page.text(),
      cookie: session?.split(';')[0],
      location: page.headers.get('location'),
      cookies: cookiesOf(page),
    }
  }

  return {
    provider,
    clock,
    store,
    request,
    signIn,
    finish,
    async stop() {
      await bff.stop()
      await provider.stop()
    },
  }
}

const cookiesOf = (response: Response) =>
  response.headers
    .getSetCookie()
    .map((line) => line.split(';')[0])
    .join('; ')
