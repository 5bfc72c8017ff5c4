import { TendonError } from '@tendon/platform/errors.ts'
import { type HttpApp, type HttpEnv, requestLog } from '@tendon/platform/http-app.ts'
import type { KeyValue } from '@tendon/platform/key-value.ts'
import { platformErrors } from '@tendon/platform/platform-errors.ts'
import { Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { bffErrors } from '../errors.ts'
import type { Audit } from '../protection/audit.ts'
import { verifyLogoutToken } from '../relying-party/logout-tokens.ts'
import type { ProviderConnection } from '../relying-party/provider-connection.ts'
import { digest } from './digest.ts'
import type { EndSessions } from './end-sessions.ts'

export const backchannelLogoutPath = '/auth/backchannel-logout'

const maxLogoutTokenBytes = 16_384
/** Longer than a logout token is accepted after it was issued. */
const rememberedMs = 300_000

/** `POST /auth/backchannel-logout`: the provider ends sessions (OpenID Connect Back-Channel Logout 1.0 §2.5). */
export function backchannelLogoutRoute(options: {
  connection: ProviderConnection
  endSessions: EndSessions
  keyValue: KeyValue
  audit: Audit
}): HttpApp {
  const { connection, endSessions, keyValue, audit } = options
  const app = new Hono<HttpEnv>()

  app.post(backchannelLogoutPath, bodyLimit({ maxSize: maxLogoutTokenBytes }), async (c) => {
    // A form, and no other kind of body (§2.5); whatever else is there has no such field.
    const token = new URLSearchParams(await c.req.text()).get('logout_token')
    if (!token) throw bffErrors.logoutTokenRefused('There is no logout_token in the body.')
    const { sub, sid, jti, owner } = await verify(token).catch((err) => {
      requestLog(c).warn({ err }, 'logout token refused')
      const { code: reason } = err instanceof TendonError ? err : platformErrors.unexpected
      const outcome = reason === bffErrors.logoutTokenRefused.code ? 'refused' : 'failed'
      audit(c, { action: 'provider_sign_out', outcome, reason })
      throw err
    })
    const ended = await endSessions.all(owner)
    // Used only now: a token that did not get this far is sent again.
    await keyValue.set(usedKey(jti), '1', { ttlMs: rememberedMs })
    audit(c, {
      action: 'provider_sign_out',
      outcome: 'done',
      whom: { subject: sub, ...(sid && { sid }) },
      sessions: ended,
    })
    return c.body(null, 200)
  })

  /** §2.6, with step 8: a token is good once, at whichever instance. */
  async function verify(token: string) {
    const claims = await verifyLogoutToken(connection, token)
    if (!(await keyValue.has(usedKey(claims.jti)))) return claims
    throw bffErrors.logoutTokenRefused('The logout token was used before.')
  }

  return app
}

const usedKey = (jti: string) => `tendon:logout-token:${digest(jti)}`
