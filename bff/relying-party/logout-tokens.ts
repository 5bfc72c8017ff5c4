import { jwtVerify } from 'jose'
import { z } from 'zod'
import { bffErrors } from '../errors.ts'
import { accountOf, type SessionOwner } from '../sessions/session-index.ts'
import { clockToleranceSeconds, type ProviderConnection, tokenAlgorithms } from './provider-connection.ts'
import { isUnavailable, withoutPayload } from './provider-failure.ts'

/** What a logout token says that ends sessions: those of `sid` when it is given, else all of `sub`. */
export type LogoutToken = {
  sub?: string | undefined
  sid?: string | undefined
  jti: string
  owner: SessionOwner
}

const logoutClaims = z.object({
  sub: z.string().optional(),
  sid: z.string().optional(),
  /** Forbidden, so that an ID token can never pass for a logout token. */
  nonce: z.never().optional(),
  jti: z.string().min(1).max(256),
  exp: z.number(),
  events: z.object({ 'http://schemas.openid.net/event/backchannel-logout': z.object({}) }),
})

const logoutTokenType = /^(application\/)?(logout\+)?jwt$/i

/**
 * Checks a logout token (OpenID Connect Back-Channel Logout 1.0 §2.6).
 * @throws TENDON-BFF-013; -007 when the provider's keys cannot be had, and the token may be good
 */
export async function verifyLogoutToken(connection: ProviderConnection, token: string): Promise<LogoutToken> {
  const config = await connection.configuration()
  try {
    const { payload, protectedHeader } = await jwtVerify(token, connection.providerKeys(config), {
      issuer: config.serverMetadata().issuer,
      audience: connection.clientId,
      algorithms: tokenAlgorithms,
      requiredClaims: ['iat', 'exp', 'jti'],
      maxTokenAge: '2m',
      // The provider tells of a sign-out once: whom it could sign in, by its clock, it can sign out too.
      clockTolerance: clockToleranceSeconds,
    })
    // §2.4 recommends the type; another one means another kind of token (RFC 8725 §3.11).
    if (!logoutTokenType.test(protectedHeader.typ ?? 'JWT')) throw new Error('typ')
    const { sub, sid, jti } = logoutClaims.parse(payload)
    if (sid) return { sub, sid, jti, owner: { sid } }
    if (sub) return { sub, jti, owner: { account: accountOf(sub) } }
    throw new Error('neither sub nor sid')
  } catch (err) {
    if (isUnavailable(err)) {
      const cause = withoutPayload(err)
      throw bffErrors.providerUnavailable("The identity provider's keys could not be had.", { cause })
    }
    throw bffErrors.logoutTokenRefused('The logout token was not accepted.', {
      cause: withoutPayload(err),
    })
  }
}
