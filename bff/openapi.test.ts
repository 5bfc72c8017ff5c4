import { expect, test } from 'vitest'
import { openApiDocument } from './openapi.ts'
import { startTestStack } from './test-stack.fixture.ts'

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
