import { discoverClient } from '@tendon/platform/discover-client.ts'
import { TendonError } from '@tendon/platform/errors.ts'
import { createProviderFetch } from '@tendon/platform/provider-fetch.ts'
import { createRemoteJWKSet, customFetch, decodeJwt, type JWTVerifyGetKey, jwtVerify } from 'jose'
import * as oidc from 'openid-client'
import { z } from 'zod'
import { bffErrors } from './errors.ts'
import { withinPatience } from './within-patience.ts'

/** What the token endpoint gave, parsed. */
export type IssuedTokens = {
  accessToken: string
  accessTokenExpiresAtMs: number
  /** When to ask for the next ones: early enough that a report's way through the services takes less. */
  renewAtMs: number
  refreshToken: string
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
  sub: z.string(),
  /** The provider's own session, named by back-channel logout. */
  sid: z.string().optional(),
  /** When the person gave their password, in seconds. */
  auth_time: z.number().optional(),
  name: z.string().optional(),
  preferred_username: z.string().optional(),
  roles: z.array(z.string()).default([]),
  customer_id: z.uuid().nullish(),
})

/** The access token's `aud`. That it is what it says is for the services to verify, which get it. */
const tokenAudiences = z.object({ aud: z.union([z.string(), z.array(z.string())]).optional() })

/** Which sessions a logout token ends: one by `sid`, or all of `sub`. */
const logoutClaims = z.object({
  sub: z.string().optional(),
  sid: z.string().optional(),
  /** Forbidden, so that an ID token can never pass for a logout token. */
  nonce: z.never().optional(),
  jti: z.string().min(1).max(256),
  exp: z.number(),
  events: z.object({ 'http://schemas.openid.net/event/backchannel-logout': z.object({}) }),
})

// Asymmetric only (RFC 8725 §3.1).
const algorithms = ['RS256', 'PS256', 'ES256']

const logoutTokenType = /^(application\/)?(logout\+)?jwt$/i

/** How long a person waits for the provider. */
const providerTimeoutMs = 5_000
/**
 * A refresh is not given up before the provider must have: the refresh token is spent as soon as the provider has read
 * it, and an answer that nobody waits for takes the session with it.
 */
export const tokenEndpointTimeoutMs = 30_000
export const keysTimeoutMs = 5_000

/** Of access tokens whose lifetime the provider does not tell: it need not (RFC 6749 §5.1). */
const defaultLifetimeSeconds = 60

const renewalMarginMs = 30_000

/** How a refresh ended; when `unverified` or `renewed`, the refresh token that was sent is spent. */
export type RefreshOutcome =
  /** The provider will never give any tokens again (RFC 6749 §5.2). */
  | { kind: 'refused' }
  | { kind: 'renewed'; tokens: IssuedTokens }
  /** What came could not be checked, as when the provider's keys cannot be had: the next refresh is all it is good for. */
  | { kind: 'unverified'; refreshToken: string; cause: Error }

export type OidcClient = ReturnType<typeof createOidcClient>

/**
 * The application's side of OpenID Connect. The provider's metadata is read on first use and again after a
 * failure, because the provider may start after this service, or in the same process.
 */
export function createOidcClient(options: {
  issuer: string
  /** The origin at which this process reaches the provider, when not at its public one. */
  internalUrl: string | undefined
  clientId: string
  clientSecret: string
  redirectUri: string
  postLogoutRedirectUri: string
  now: () => number
}) {
  const { issuer, internalUrl, clientId, clientSecret, redirectUri, postLogoutRedirectUri, now } = options
  const providerFetch = createProviderFetch(issuer, internalUrl)
  let discovered: Promise<oidc.Configuration> | undefined
  let keySet: JWTVerifyGetKey | undefined

  async function configuration(): Promise<oidc.Configuration> {
    discovered ??= discoverClient({
      issuer,
      internalUrl,
      clientId,
      clientSecret,
      timeoutMs: tokenEndpointTimeoutMs,
    }).catch((err) => {
      discovered = undefined
      throw bffErrors.providerUnavailable('The identity provider could not be reached.', {
        cause: withoutPayload(err),
      })
    })
    return withinPatience(discovered, providerTimeoutMs, () =>
      bffErrors.providerUnavailable('The identity provider takes too long to answer.'),
    )
  }

  /** The provider's keys; of a token whose key is not among them, they are fetched again. */
  function providerKeys(config: oidc.Configuration): JWTVerifyGetKey {
    keySet ??= createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri ?? ''), {
      [customFetch]: providerFetch,
      timeoutDuration: keysTimeoutMs,
      // For a provider that rotates its keys: until they are fetched again, nobody signs in or gets new tokens.
      cooldownDuration: 1_000,
    })
    return keySet
  }

  /**
   * openid-client has checked the ID token's claims. Its signature is checked too, although it comes straight from the
   * provider: the back channel may be plain HTTP (OpenID Connect Core 1.0 §3.1.3.7, 6).
   */
  async function parseTokens(
    config: oidc.Configuration,
    response: oidc.TokenEndpointResponse & oidc.TokenEndpointResponseHelpers,
    previousRefreshToken?: string,
  ): Promise<IssuedTokens> {
    if (response.id_token) await jwtVerify(response.id_token, providerKeys(config), { algorithms })
    const claims = response.claims()
    const lifetimeMs = (response.expires_in ?? defaultLifetimeSeconds) * 1000
    const expiresAtMs = now() + lifetimeMs
    return {
      accessToken: response.access_token,
      accessTokenExpiresAtMs: expiresAtMs,
      renewAtMs: expiresAtMs - Math.min(renewalMarginMs, lifetimeMs / 2),
      // A provider that does not rotate answers without one (RFC 6749 §6).
      refreshToken: response.refresh_token ?? previousRefreshToken ?? '',
      idToken: response.id_token,
      audiences: audiencesOf(response.access_token),
      identity: claims && identity.parse(claims),
    }
  }

  return {
    /** A sign-in's secrets and the address to send the browser to (RFC 7636 §4.2; OpenID Connect Core 1.0 §3.1.2.1). */
    async beginSignIn({ isFresh = false }: { isFresh?: boolean } = {}) {
      const config = await configuration()
      const secrets = {
        state: oidc.randomState(),
        nonce: oidc.randomNonce(),
        codeVerifier: oidc.randomPKCECodeVerifier(),
      }
      const url = oidc.buildAuthorizationUrl(config, {
        redirect_uri: redirectUri,
        scope: 'openid profile email',
        state: secrets.state,
        nonce: secrets.nonce,
        code_challenge: await oidc.calculatePKCECodeChallenge(secrets.codeVerifier),
        code_challenge_method: 'S256',
        // The password is asked for, and the ID token says when (§3.1.2.1).
        ...(isFresh && { prompt: 'login', max_age: '0' }),
      })
      return { ...secrets, url: url.href }
    },

    /**
     * Exchanges the code of a callback, whose `iss` must be the provider's (RFC 9207 §2.4).
     * @param query the callback's query; its address is the configured one, never the request's Host
     */
    async finishSignIn(
      query: string,
      expected: { state: string; nonce: string; codeVerifier: string },
    ): Promise<IssuedTokens & { identity: Identity }> {
      const config = await configuration()
      try {
        const exchange = oidc.authorizationCodeGrant(config, new URL(`${redirectUri}${query}`), {
          pkceCodeVerifier: expected.codeVerifier,
          expectedState: expected.state,
          expectedNonce: expected.nonce,
          idTokenExpected: true,
        })
        const response = await withinPatience(exchange, providerTimeoutMs, () =>
          bffErrors.providerUnavailable('The identity provider takes too long to answer.'),
        )
        const tokens = await parseTokens(config, response)
        if (!tokens.identity || !tokens.refreshToken) throw new Error('no ID token or no refresh token')
        return { ...tokens, identity: tokens.identity }
      } catch (err) {
        if (err instanceof TendonError) throw err
        const cause = withoutPayload(err)
        if (err instanceof oidc.AuthorizationResponseError) {
          const reason = err.error_description ? `${err.error} (${err.error_description})` : err.error
          throw bffErrors.signInRefused(`The identity provider answered: ${reason}.`, { cause })
        }
        if (isUnavailable(err)) {
          throw bffErrors.providerUnavailable('The identity provider did not answer.', { cause })
        }
        throw bffErrors.signInFailed("The identity provider's answer could not be accepted.", { cause })
      }
    },

    /** @throws TENDON-BFF-007 when the provider is slow or unwell; the refresh token is then still good. */
    async refresh(refreshToken: string): Promise<RefreshOutcome> {
      const config = await configuration()
      const response = await oidc.refreshTokenGrant(config, refreshToken).catch((err) => {
        // Only this answer is about the token; others, as invalid_client, are about us and end nobody's session.
        if (err instanceof oidc.ResponseBodyError && err.error === 'invalid_grant') return undefined
        throw bffErrors.providerUnavailable('The identity provider gave no new tokens.', {
          cause: withoutPayload(err),
        })
      })
      if (!response) return { kind: 'refused' }
      try {
        return { kind: 'renewed', tokens: await parseTokens(config, response, refreshToken) }
      } catch (err) {
        const next = response.refresh_token ?? refreshToken
        return { kind: 'unverified', refreshToken: next, cause: withoutPayload(err) }
      }
    },

    /** Ends a refresh token and all that was issued with it (RFC 7009). */
    async revoke(refreshToken: string): Promise<void> {
      const config = await configuration()
      try {
        await oidc.tokenRevocation(config, refreshToken, { token_type_hint: 'refresh_token' })
      } catch (err) {
        throw bffErrors.providerUnavailable('The refresh token could not be revoked.', {
          cause: withoutPayload(err),
        })
      }
    },

    /**
     * Ends the session at the provider (OpenID Connect RP-Initiated Logout 1.0 §2), with the ID token as proof. The
     * request goes from here and by POST, which the specification gives beside GET, so that the token stands in no
     * URL and reaches no browser.
     */
    async endProviderSession(idToken: string): Promise<void> {
      const config = await configuration()
      const endpoint = config.serverMetadata().end_session_endpoint
      if (!endpoint) return
      const response = await providerFetch(endpoint, {
        method: 'POST',
        body: new URLSearchParams({ id_token_hint: idToken, client_id: clientId }),
        redirect: 'manual',
        signal: AbortSignal.timeout(providerTimeoutMs),
      }).catch((err) => {
        throw bffErrors.providerUnavailable('The session at the provider could not be ended.', {
          cause: withoutPayload(err),
        })
      })
      await response.body?.cancel()
      if (response.status < 400) return
      throw bffErrors.providerUnavailable(`The provider answered the sign-out with ${response.status}.`)
    },

    /**
     * Where the browser goes to be signed out at the provider too, for providers that end a session only there. It is
     * named by its id (`logout_hint`), which opens nothing.
     */
    async logoutUrl(sid: string | undefined): Promise<string> {
      const config = await configuration()
      return oidc.buildEndSessionUrl(config, {
        post_logout_redirect_uri: postLogoutRedirectUri,
        ...(sid && { logout_hint: sid }),
      }).href
    },

    /** Checks a logout token (OpenID Connect Back-Channel Logout 1.0 §2.6). */
    async verifyLogoutToken(token: string): Promise<z.infer<typeof logoutClaims>> {
      const config = await configuration()
      try {
        const { payload, protectedHeader } = await jwtVerify(token, providerKeys(config), {
          issuer: config.serverMetadata().issuer,
          audience: clientId,
          algorithms,
          requiredClaims: ['iat', 'exp', 'jti'],
          maxTokenAge: '2m',
          clockTolerance: 5,
        })
        // §2.4 recommends the type; another one means another kind of token (RFC 8725 §3.11).
        if (!logoutTokenType.test(protectedHeader.typ ?? 'JWT')) throw new Error('typ')
        const claims = logoutClaims.parse(payload)
        if (!claims.sub && !claims.sid) throw new Error('neither sub nor sid')
        return claims
      } catch (err) {
        throw bffErrors.logoutTokenRefused('The logout token was not accepted.', {
          cause: withoutPayload(err),
        })
      }
    },
  }
}

function audiencesOf(accessToken: string): string[] {
  try {
    const { aud = [] } = tokenAudiences.parse(decodeJwt(accessToken))
    return typeof aud === 'string' ? [aud] : aud
  } catch {
    return []
  }
}

/** Whether it is the provider that is slow or unwell, rather than the answer that is wrong. */
function isUnavailable(err: unknown): boolean {
  if (err instanceof oidc.ResponseBodyError) return err.status >= 500
  // What fetch throws when there is no connection; the library's own TypeErrors have no cause.
  if (err instanceof TypeError) return err.cause instanceof Error
  if (!(err instanceof oidc.ClientError)) return false
  return err.code === 'OAUTH_TIMEOUT' || (err.cause instanceof Response && err.cause.status >= 500)
}

/**
 * An error for the log. The library's own errors carry what they are about as their cause, whole token
 * responses among it, so only name, message and codes are taken over.
 */
function withoutPayload(err: unknown): Error {
  if (!(err instanceof Error)) return new Error('unknown')
  const codes = [
    'code' in err && err.code,
    'error' in err && err.error,
    err.cause instanceof Error && err.cause.message,
  ]
  return new Error(`${err.name}: ${[err.message, ...codes].filter(Boolean).join('; ')}`)
}
