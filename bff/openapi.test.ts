import { once } from 'node:events'
import { request } from 'node:http'
import { json } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { cookieOf, csrf, signedInBrowser } from './fixtures/test-sessions.fixture.ts'
import { startTestStack } from './fixtures/test-stack.fixture.ts'
import { openApiDocument } from './openapi.ts'

/** What stands in the application and is not for browsers, or is a prefix with a table of its own. */
const others = /^(\/healthz|\/readyz|\/metrics|\*|\/\*|\/api\/\*)$/

test('describes the routes that there are, and no others', async () => {
  const stack = await startTestStack()
  try {
    const described = Object.entries(openApiDocument().paths as Record<string, object>).flatMap(
      ([path, operations]) => Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    )
    const routes = stack.bffs[0]!.bff.app.routes.filter(
      ({ method, path }) => method !== 'ALL' && !others.test(path),
    ).map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`)
    const throughGateway = described.filter((route) => route.startsWith('GET /api/reports'))
    expect(throughGateway).toHaveLength(5)
    expect(described.sort()).toEqual([...new Set([...routes, ...throughGateway])].sort())
    const answer = await fetch(`${stack.url}/openapi.json`)
    expect([answer.status, await answer.json()]).toEqual([200, JSON.parse(JSON.stringify(openApiDocument()))])
  } finally {
    await stack.stop()
  }
})

test('names what the gateway says to a body and to a method that it does not take', async () => {
  const stack = await startTestStack()
  try {
    const headers = { ...csrf, ...cookieOf(await signedInBrowser(stack, 'alice')) }
    const { responses } = z
      .object({ responses: z.record(z.string(), z.object({ description: z.string() })) })
      .parse((openApiDocument().paths as Record<string, { get: unknown }>)['/api/reports']!.get)
    for (const [method, body] of [
      ['GET', 'x'],
      ['PUT', ''],
    ] as const) {
      // By hand: fetch gives no body to a GET.
      const asking = request(`${stack.url}/api/reports`, {
        method,
        headers: { ...headers, 'content-length': body.length },
      })
      const [answer] = await once(asking.end(body), 'response')
      const { code } = z.object({ code: z.string() }).parse(await json(answer))
      expect(responses[answer.statusCode]?.description, method).toContain(code)
    }
  } finally {
    await stack.stop()
  }
})
