import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import { TestBrowser } from '../fixtures/test-browser.fixture.ts'
import type { TestStack } from '../fixtures/test-stack.fixture.ts'
import type { GatewayRoute } from './route-table.ts'

/** A route of the gateway whose answers are whatever a test's service says. */
export const filesAt = (upstreams: string[], methods: string[]): GatewayRoute => ({
  prefix: '/api/files',
  rest: /^(\/\w+)?$/,
  upstreams,
  upstreamPrefix: '/files',
  audience: 'reports-service',
  methods,
  query: {},
  timeouts: { headersMs: 5_000, bodyMs: 5_000 },
  maxRequestBytes: 100_000,
  isCoalesced: false,
})

/** Alice signs in. @returns the headers of her requests */
export async function signInAtGateway(stack: TestStack): Promise<Record<string, string>> {
  const browser = new TestBrowser()
  await browser.signIn(stack.loginUrl, 'alice')
  return { cookie: `session_id=${browser.cookie('session_id')!.value}`, 'x-tendon-csrf': '1' }
}

/** A service, or another instance beside the stack's own, as long as the test runs. @returns its origin */
export async function startInstance(answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
