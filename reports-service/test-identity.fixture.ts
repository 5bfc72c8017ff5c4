import { createAccessTokenVerifier } from '@tendon/platform/access-token.ts'
import { createHttpApp } from '@tendon/platform/http-app.ts'
import { listen } from '@tendon/platform/http-server.ts'
import { createLog } from '@tendon/platform/log.ts'
import { createMetrics } from '@tendon/platform/metrics.ts'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'

/** An identity provider as far as this service knows one: it publishes its keys and signs tokens with them. */
export async function startTestIdentity() {
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const jwk = { ...(await exportJWK(publicKey)), kid: 'test', alg: 'ES256', use: 'sig' }
  const log = createLog({ service: 'test', level: 'fatal' })
  const app = createHttpApp({ log, metrics: createMetrics('test') })
  const server = await listen(app, { port: 0, log })
  const issuer = server.url
  app.get('/.well-known/openid-configuration', (c) => c.json({ issuer, jwks_uri: `${issuer}/jwks` }))
  app.get('/jwks', (c) => c.json({ keys: [jwk] }))

  /** An `Authorization` header. */
  async function bearer(claims: { customer_id?: string; roles: string[]; aud?: string }): Promise<string> {
    const { aud = 'reports-service', ...others } = claims
    const token = await new SignJWT(others)
      .setProtectedHeader({ alg: 'ES256', kid: 'test' })
      .setIssuer(issuer)
      .setAudience(aud)
      .setSubject('somebody')
      .setExpirationTime('5m')
      .sign(privateKey)
    return `Bearer ${token}`
  }

  return {
    verifyAccessToken: createAccessTokenVerifier({ issuer, audience: 'reports-service' }),
    issuer,
    bearer,
    patient: (customerId: string) => bearer({ customer_id: customerId, roles: ['patient'] }),
    admin: () => bearer({ roles: ['report-admin'] }),
    invalidator: () => bearer({ roles: ['report-invalidator'] }),
    close: () => server.close(),
  }
}
