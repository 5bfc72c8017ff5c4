import { decodeJwt, type JWTVerifyGetKey, jwtVerify } from 'jose'
import type * as oidc from 'openid-client'
import { z } from 'zod'
import { clockToleranceSeconds, tokenAlgorithms } from './provider-connection.ts'

/** What the token endpoint gave, parsed. */
export type IssuedTokens = {
  accessToken: string
  /** When it is used no longer; the provider may have given it for longer. */
  accessTokenExpiresAtMs: number
  /** When to ask for the next ones: early enough that a report's way through the services takes less. */
  renewAtMs: number
  refreshToken: string
  /** When, by the provider's clock; 0 when it does not say. */
  issuedAtSeconds: number
  /** Proof for the sign-out at the provider, and for nothing else; absent when a refresh answered without one. */
  idToken?: string | undefined
  /** The services that the access token is for. */
  audiences: string[]
  /** Absent when a refresh answered without an ID token. */
  identity: Identity | undefined
}

export type Identity = z.infer<typeof identity>

/** The ID token's claims that a session is made of. */
const identity = z.object({
  sub: z.string().min(1),
  /** The provider's own session, named by back-channel logout. */
  sid: z.string().optional(),
  /** When it was issued, in seconds. */
  iat: z.number(),
  /** When the person gave their password, in seconds. */
  auth_time: z.number().optional(),
  name: z.string().optional(),
  preferred_username: z.string().optional(),
  roles: z.array(z.string()).default([]),
  /** In small letters, as everything else here has it, however the directory spells it. */
  customer_id: z.guid().toLowerCase().nullish(),
})

/** What is read of an access token. That it is what it says is for the services to verify, which get it. */
const accessTokenClaims = z.object({
  aud: z.union([z.string(), z.array(z.string())]).default([]),
  iat: z.number().default(0),
})

/** Of access tokens whose lifetime the provider does not tell: it need not (RFC 6749 §5.1). */
const defaultLifetimeSeconds = 60

const renewalMarginMs = 30_000
/** However long tokens are good: what the directory says by then is heard with new ones, or nothing is answered. */
const longestUseMs = 5 * 60_000

type TokenResponse = oidc.TokenEndpointResponse & oidc.TokenEndpointResponseHelpers

/**
 * The tokens of an answer. openid-client has checked the ID token's claims; its signature is checked too, although it
 * comes straight from the provider: the back channel may be plain HTTP (OpenID Connect Core 1.0 §3.1.3.7, 6).
 * @param options.previousRefreshToken the one that was sent
 */
export async function parseIssuedTokens(
  response: TokenResponse,
  options: { keys: JWTVerifyGetKey; previousRefreshToken?: string; now: () => number },
): Promise<IssuedTokens> {
  const { keys, previousRefreshToken = '', now } = options
  if (response.id_token) {
    const allowed = { algorithms: tokenAlgorithms, clockTolerance: clockToleranceSeconds }
    await jwtVerify(response.id_token, keys, allowed)
  }
  const claims = response.claims()
  const { aud, iat } = claimsOf(response.access_token)
  const lifetimeMs = Math.min((response.expires_in ?? defaultLifetimeSeconds) * 1000, longestUseMs)
  return {
    accessToken: response.access_token,
    accessTokenExpiresAtMs: now() + lifetimeMs,
    renewAtMs: now() + lifetimeMs - Math.min(renewalMarginMs, lifetimeMs / 2),
    // A provider that does not rotate answers without one (RFC 6749 §6).
    refreshToken: response.refresh_token ?? previousRefreshToken,
    issuedAtSeconds: claims?.iat ?? iat,
    idToken: response.id_token,
    audiences: typeof aud === 'string' ? [aud] : aud,
    identity: claims && identity.parse(claims),
  }
}

const unacceptedAnswer = z.object({ refresh_token: z.string().min(1), id_token: z.string().optional() })

/**
 * The refresh token of an answer that is not accepted otherwise: a provider that rotates them has spent the former one.
 * Undefined when there is none, or the answer says of itself that it is somebody else's.
 */
export async function nextRefreshToken(
  answer: Response | undefined,
  subject: string,
): Promise<Pick<IssuedTokens, 'refreshToken' | 'issuedAtSeconds'> | undefined> {
  if (!answer?.ok) return undefined
  try {
    const { refresh_token: refreshToken, id_token: idToken } = unacceptedAnswer.parse(await answer.json())
    const claims = idToken === undefined ? { sub: subject } : decodeJwt(idToken)
    return claims.sub === subject ? { refreshToken, issuedAtSeconds: claims.iat ?? 0 } : undefined
  } catch {
    return undefined
  }
}

/** An access token need not be a JWT (RFC 6749 §1.4). */
function claimsOf(accessToken: string): z.infer<typeof accessTokenClaims> {
  try {
    return accessTokenClaims.parse(decodeJwt(accessToken))
  } catch {
    return accessTokenClaims.parse({})
  }
}
