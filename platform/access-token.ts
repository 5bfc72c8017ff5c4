import {
  createRemoteJWKSet,
  customFetch,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  jwtVerify,
} from 'jose'
import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import { TendonError } from './errors.ts'
import { platformErrors } from './platform-errors.ts'
import { createProviderFetch, type ProviderFetch } from './provider-fetch.ts'

/** Who calls, as the identity provider says. */
export type Caller = {
  /** The provider's own id of the account or the client. */
  subject: string
  /** `customers.id` of a patient, a lower-case UUID; absent for staff and service accounts. */
  customerId?: string
  /** `patient`, `report-admin`, `report-invalidator`, …; empty when the token names none. */
  roles: string[]
}

/**
 * @param authorization value of the `Authorization` header, `Bearer <access token>`
 * @throws TENDON-PLATFORM-005 (no token), -006 (not valid), -007 (expired): 401; -008 (the provider's keys cannot be had): 503
 */
export type AccessTokenVerifier = (authorization: string | undefined) => Promise<Caller>

// Asymmetric only (RFC 8725 §3.1): with a list that names HS256, a public key would do as the shared secret.
const algorithms = ['RS256', 'PS256', 'ES256']
const clockToleranceS = 5
const timeoutMs = 5_000

const claims = z.object({
  sub: z.string().min(1),
  exp: z.number(),
  customer_id: z.guid().toLowerCase().optional(),
  roles: z.array(z.string()).default([]),
})
const providerMetadata = z.object({ issuer: z.string(), jwks_uri: z.url() })

/**
 * How long a token that was checked is known as good, if its own time does not end before: so long a key that the provider
 * takes back may sign beyond its end, and it is less than keys are kept.
 */
const knownMs = 60_000
/** Some 2 KB each. */
const maxKnown = 5_000

/**
 * Checks access tokens (RFC 9068) offline: signature, issuer, audience, times. The provider's keys are fetched
 * with the first token, kept for ten minutes, and fetched again for a key id that is not known. A caller's next requests
 * carry the same token, whose signature takes more CPU than finding a cached report does (measured).
 */
export function createAccessTokenVerifier(options: {
  /** As tokens name it, to the letter. */
  issuer: string
  /** This service's name in the tokens' `aud`. */
  audience: string
  /** The origin at which this process reaches the provider, when not at its public one. */
  internalUrl?: string | undefined
  /** Milliseconds; tests pass their own clock. */
  now?: () => number
}): AccessTokenVerifier {
  const { issuer, audience, internalUrl, now = Date.now } = options
  const findKey = createKeyFinder(issuer, internalUrl)
  const known = new LRUCache<string, { caller: Caller; goodUntilMs: number }>({ max: maxKnown })

  return async (authorization) => {
    const checked = known.get(authorization ?? '')
    if (checked && now() < checked.goodUntilMs) return checked.caller
    const { caller, expiresAtMs } = await check(authorization)
    known.set(authorization!, { caller, goodUntilMs: Math.min(expiresAtMs, now() + knownMs) })
    return caller
  }

  async function check(authorization: string | undefined): Promise<{ caller: Caller; expiresAtMs: number }> {
    const payload = await verified(bearerToken(authorization), findKey, {
      issuer,
      audience,
      algorithms,
      requiredClaims: ['sub', 'exp'],
      clockTolerance: clockToleranceS,
      currentDate: new Date(now()),
    })
    const parsed = claims.safeParse(payload)
    if (!parsed.success) {
      const names = parsed.error.issues.map((issue) => issue.path.join('.')).join(', ')
      throw platformErrors.accessTokenInvalid(`The access token's claims are not as expected: ${names}.`)
    }
    const { sub, exp, customer_id, roles } = parsed.data
    const caller = { subject: sub, roles, ...(customer_id && { customerId: customer_id }) }
    return { caller, expiresAtMs: (exp + clockToleranceS) * 1000 }
  }
}

/** RFC 6750 §2.1; the scheme's case does not matter (RFC 9110 §11.1). */
function bearerToken(authorization: string | undefined): string {
  const token = /^Bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(authorization ?? '')?.[1]
  if (!token) throw platformErrors.accessTokenMissing('The request has no bearer token.')
  return token
}

async function verified(
  token: string,
  findKey: JWTVerifyGetKey,
  options: JWTVerifyOptions,
): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, findKey, options)).payload
  } catch (error) {
    if (error instanceof TendonError) throw error
    // The cause is for the log: jose's messages name the check that failed and never hold the token.
    if (error instanceof errors.JWTExpired) {
      throw platformErrors.accessTokenExpired('The access token has expired.', { cause: error.message })
    }
    const reason = error instanceof errors.JOSEError ? error.message : 'malformed'
    throw platformErrors.accessTokenInvalid('The access token is not valid here.', { cause: reason })
  }
}

/** Finds the key a token names. That the provider cannot be asked is not the caller's fault, hence never a 401. */
function createKeyFinder(issuer: string, internalUrl: string | undefined): JWTVerifyGetKey {
  const providerFetch = createProviderFetch(issuer, internalUrl)
  let keySet: Promise<JWTVerifyGetKey> | undefined

  async function openKeySet(): Promise<JWTVerifyGetKey> {
    const url = await discoverKeysUrl(issuer, providerFetch)
    return createRemoteJWKSet(new URL(url), {
      timeoutDuration: timeoutMs,
      // Of a provider that has just changed its keys all tokens are refused until they are asked for again.
      cooldownDuration: 1_000,
      [customFetch]: providerFetch,
    })
  }

  return async (header, token) => {
    try {
      keySet ??= openKeySet().catch((error) => {
        keySet = undefined
        throw error
      })
      return await (await keySet)(header, token)
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys)
        throw error
      throw platformErrors.identityProviderUnavailable(`The keys of ${issuer} could not be fetched.`, {
        cause: error,
      })
    }
  }
}

/** OpenID Connect Discovery 1.0 §4. */
async function discoverKeysUrl(issuer: string, providerFetch: ProviderFetch): Promise<string> {
  const response = await providerFetch(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, {
    redirect: 'error',
    signal: AbortSignal.timeout(timeoutMs),
  })
  if (!response.ok) throw new Error(`the provider's metadata answered ${response.status}`)
  const metadata = providerMetadata.parse(await response.json())
  // §4.3: otherwise another issuer's keys would sign for this one.
  if (metadata.issuer !== issuer) throw new Error(`the metadata is of another issuer, ${metadata.issuer}`)
  return metadata.jwks_uri
}
