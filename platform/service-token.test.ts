import { expect, onTestFinished, test } from 'vitest'
import { createAccessTokenVerifier } from './access-token.ts'
import { createServiceTokenSource } from './service-token.ts'
import { startTestProvider } from './test-provider.fixture.ts'

const client = { clientId: 'tendon-etl', clientSecret: 'the secret: of+etl/%' }
// The public address is not reachable from here; the provider is asked at its internal one.
const issuer = 'http://id.tendon.invalid'

async function startProvider(options: { port?: number; tokenLifeS?: number } = {}) {
  const provider = await startTestProvider({ issuer, ...client, ...options })
  onTestFinished(() => provider.stop())
  return provider
}

test('gets one token for however many callers, and it is good at the service', async () => {
  const { internalUrl, tokenRequests } = await startProvider()
  const serviceToken = createServiceTokenSource({ issuer, ...client, internalUrl })
  const tokens = new Set(await Promise.all(Array.from({ length: 20 }, serviceToken)))
  expect(tokens.size).toBe(1)
  expect(tokenRequests()).toBe(1)

  const verify = createAccessTokenVerifier({ issuer, audience: 'reports-service', internalUrl })
  expect(await verify(`Bearer ${[...tokens][0]}`)).toEqual({
    subject: client.clientId,
    roles: ['report-invalidator'],
  })
})

test.each([
  { lifeS: 300, renewAfterS: 270 },
  { lifeS: 20, renewAfterS: 10 },
])('renews a token of $lifeS s after $renewAfterS s', async ({ lifeS, renewAfterS }) => {
  const { internalUrl, tokenRequests } = await startProvider({ tokenLifeS: lifeS })
  let nowMs = 0
  const serviceToken = createServiceTokenSource({ issuer, ...client, internalUrl, now: () => nowMs })
  const first = await serviceToken()
  nowMs = renewAfterS * 1000 - 1
  expect(await serviceToken()).toBe(first)
  expect(tokenRequests()).toBe(1)
  nowMs += 1
  expect(await serviceToken()).not.toBe(first)
  expect(tokenRequests()).toBe(2)
})

test('fails while the provider is away, and goes on when it is back', async () => {
  const away = await startProvider()
  await away.stop()
  const serviceToken = createServiceTokenSource({ issuer, ...client, internalUrl: away.internalUrl })
  await expect(serviceToken()).rejects.toMatchObject({
    code: 'TENDON-PLATFORM-008',
    definition: { status: 503 },
  })
  await startProvider({ port: away.port })
  expect(await serviceToken()).toMatch(/^ey/)
})

test('says that the client is refused, without its secret', async () => {
  const { internalUrl } = await startProvider()
  const serviceToken = createServiceTokenSource({
    issuer,
    ...client,
    clientSecret: 'not-the-secret',
    internalUrl,
  })
  const failure = await serviceToken().catch((error: unknown) => error)
  expect(failure).toMatchObject({ code: 'TENDON-PLATFORM-009' })
  expect(String(failure)).toContain(client.clientId)
  expect(String(failure)).not.toContain('not-the-secret')
})
