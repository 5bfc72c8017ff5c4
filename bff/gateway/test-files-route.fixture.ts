import { TestBrowser } from '../test-browser.fixture.ts'
import type { TestStack } from '../test-stack.fixture.ts'
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
