import { discoverClient } from '@tendon/platform/discover-client.ts'
import { createProviderFetch } from '@tendon/platform/provider-fetch.ts'
import { createRemoteJWKSet, customFetch, type JWTVerifyGetKey, jwtVerify } from 'jose'
import * as oidc from 'openid-client'
import { z } from 'zod'
import { bffErrors } from './errors.ts'

/** What the token endpoint gave, parsed. */
export type IssuedTokens = {
  accessToken: string
  accessTokenExpiresAtMs: number
  /** When to ask for the next ones: early enough that a report's way through the services takes less. */
  renewAtMs: number
  refreshToken: string
  /** Absent when a refresh answered without an ID token. */
  identity: Identity | undefined
}

export type Identity = z.infer<typeof identity>

/** The ID token's claims that a session is made of. */
const identity = z.object({
  sub: z.string(),
  /** The provider's own session, named by back-channel logout. */
  sid: z.string().optional(),
  name: z.string().optional(),
  preferred_username: z.string().optional(),
  roles: z.array(z.string()).default([]),
  customer_id: z.uuid().nullish(),
})

/** Which sessions a logout token ends: one by `sid`, or all of `sub`. */
const logoutClaims = z.object({
  sub: z.string().optional(),
  sid: z.string().optional(),
  /** Forbidden, so that an ID token can never pass for a logout token. */
  nonce: z.never().optional(),
  events: z.object({ 'http://schemas.openid.net/event/backchannel-logout': z.object({}) }),
})

/** Below the lease of a refresh, so that no second instance begins while a first still waits. */
export const providerTimeoutMs = 5_000

/** Of access tokens whose lifetime the provider does not tell: it need not (RFC 6749 §5.1). */
const defaultLifetimeSeconds = 60

const renewalMarginMs = 30_000

/** What a refresh found out: new tokens, or that the provider will never give any again (RFC 6749 §5.2). */
export type RefreshOutcome = { refused: false; tokens: IssuedTokens } | { refused: true }

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

  function configuration(): Promise<oidc.Configuration> {
    discovered ??= discoverClient({
      issuer,
      internalUrl,
      clientId,
      clientSecret,
      timeoutMs: providerTimeoutMs,
      // Signatures of ID tokens are checked although they come straight from the provider: the back channel may
      // be plain HTTP (OpenID Connect Core 1.0 §3.1.3.7, 6).
      execute: [oidc.enableNonRepudiationChecks],
    }).catch((err) => {
      discovered = undefined
      throw bffErrors.providerUnavailable('The identity provider could not be reached.', {
        cause: withoutPayload(err),
      })
    })
    return discovered
  }

  function parseTokens(
    response: oidc.TokenEndpointResponse & oidc.TokenEndpointResponseHelpers,
    previousRefreshToken?: string,
  ): IssuedTokens {
    const claims = response.claims()
    const lifetimeMs = (response.expires_in ?? defaultLifetimeSeconds) * 1000
    const expiresAtMs = now() + lifetimeMs
    return {
      accessToken: response.access_token,
      accessTokenExpiresAtMs: expiresAtMs,
      renewAtMs: expiresAtMs - Math.min(renewalMarginMs, lifetimeMs / 2),
      // A provider that does not rotate answers without one (RFC 6749 §6).
      refreshToken: response.refresh_token ?? previousRefreshToken ?? '',
      identity: claims && identity.parse(claims),
    }
  }

  return {
    /** A sign-in's secrets and the address to send the browser to (RFC 7636 §4.2; OpenID Connect Core 1.0 §3.1.2.1). */
    async beginSignIn() {
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
        const response = await oidc.authorizationCodeGrant(config, new URL(`${redirectUri}${query}`), {
          pkceCodeVerifier: expected.codeVerifier,
          expectedState: expected.state,
          expectedNonce: expected.nonce,
          idTokenExpected: true,
        })
        const tokens = parseTokens(response)
        if (!tokens.identity || !tokens.refreshToken) throw new Error('no ID token or no refresh token')
        return { ...tokens, identity: tokens.identity }
      } catch (err) {
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
      try {
        const response = await oidc.refreshTokenGrant(config, refreshToken)
        return { refused: false, tokens: parseTokens(response, refreshToken) }
      } catch (err) {
        // Only this answer is about the token; others, as invalid_client, are about us and end nobody's session.
        if (err instanceof oidc.ResponseBodyError && err.error === 'invalid_grant') return { refused: true }
        throw bffErrors.providerUnavailable('The identity provider gave no new tokens.', {
          cause: withoutPayload(err),
        })
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
     * Where the browser goes to end its session at the provider (OpenID Connect RP-Initiated Logout 1.0 §2). The
     * session is named by its id: the ID token that the specification would have as proof must not stand in a URL.
     */
    async logoutUrl(sid: string | undefined): Promise<string> {
      const config = await configuration()
      return oidc.buildEndSessionUrl(config, {
        post_logout_redirect_uri: postLogoutRedirectUri,
        ...(sid && { logout_hint: sid }),
      }).href
    },

    /** Checks a logout token (OpenID Connect Back-Channel Logout 1.0 §2.6). */
    async verifyLogoutToken(token: string): Promise<{ sub: string | undefined; sid: string | undefined }> {
      const metadata = (await configuration()).serverMetadata()
      keySet ??= createRemoteJWKSet(new URL(metadata.jwks_uri ?? ''), { [customFetch]: providerFetch })
      try {
        const { payload } = await jwtVerify(token, keySet, {
          issuer: metadata.issuer,
          audience: clientId,
          // Asymmetric only (RFC 8725 §3.1).
          algorithms: ['RS256', 'PS256', 'ES256'],
          requiredClaims: ['iat', 'exp', 'jti'],
          maxTokenAge: '2m',
          clockTolerance: 5,
        })
        const { sub, sid } = logoutClaims.parse(payload)
        if (!sub && !sid) throw new Error('neither sub nor sid')
        return { sub, sid }
      } catch (err) {
        throw bffErrors.logoutTokenRefused('The logout token was not accepted.', {
          cause: withoutPayload(err),
        })
      }
    },
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
