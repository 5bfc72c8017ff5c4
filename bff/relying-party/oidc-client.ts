import { TendonError } from '@tendon/platform/errors.ts'
import { failAfter, within } from '@tendon/platform/within.ts'
import * as oidc from 'openid-client'
import { bffErrors } from '../errors.ts'
import { type Identity, type IssuedTokens, nextRefreshToken, parseIssuedTokens } from './issued-tokens.ts'
import { type ProviderConnection, providerTimeoutMs } from './provider-connection.ts'
import { isUnavailable, withoutPayload } from './provider-failure.ts'

/** How a refresh ended; when `unverified` or `renewed`, the refresh token that was sent may be spent. */
export type RefreshOutcome =
  /** The provider will never give any tokens again (RFC 6749 §5.2). */
  | { kind: 'refused' }
  | { kind: 'renewed'; tokens: IssuedTokens }
  /** What came could not be accepted, as when the provider's keys cannot be had: the next refresh is all it is good for. */
  | { kind: 'unverified'; next: Pick<IssuedTokens, 'refreshToken' | 'issuedAtSeconds'>; cause: Error }

export type OidcClient = ReturnType<typeof createOidcClient>

/** The application's side of OpenID Connect: sign-in, refresh, and the end of both at the provider. */
export function createOidcClient(options: {
  connection: ProviderConnection
  redirectUri: string
  postLogoutRedirectUri: string
  now: () => number
}) {
  const { connection, redirectUri, postLogoutRedirectUri, now } = options
  const { clientId, configuration, assertReachable, providerKeys } = connection

  return {
    /**
     * A sign-in's secrets and the address to send the browser to (RFC 7636 §4.2; OpenID Connect Core 1.0 §3.1.2.1).
     * @throws TENDON-BFF-007
     */
    async beginSignIn({ isReauthentication = false }: { isReauthentication?: boolean } = {}) {
      const config = await configuration()
      await assertReachable()
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
        ...(isReauthentication && { prompt: 'login', max_age: '0' }),
      })
      return { ...secrets, url: url.href }
    },

    /**
     * Exchanges the code of a callback, whose `iss` must be the provider's (RFC 9207 §2.4).
     * @param query the callback's query; its address is the configured one, never the request's Host
     * @throws TENDON-BFF-003 (the provider's form was sent too late), -005, -006, -007
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
        const response = await within(exchange, providerTimeoutMs, () => {
          throw bffErrors.providerUnavailable('The identity provider takes too long to answer.')
        })
        const tokens = await parseIssuedTokens(response, { keys: providerKeys(config), now })
        if (!tokens.identity || !tokens.refreshToken) throw new Error('no ID token or no refresh token')
        return { ...tokens, identity: tokens.identity }
      } catch (err) {
        if (err instanceof TendonError) throw err
        const cause = withoutPayload(err)
        if (err instanceof oidc.AuthorizationResponseError) throw refusalOf(err, cause)
        if (isUnavailable(err)) {
          throw bffErrors.providerUnavailable('The identity provider did not answer.', { cause })
        }
        throw bffErrors.signInFailed("The identity provider's answer could not be accepted.", { cause })
      }
    },

    /**
     * Only `invalid_grant` is about the token (RFC 6749 §5.2). Whatever else is no good answer, from `invalid_client`
     * to an ID token of another issuer (OpenID Connect Core 1.0 §12.2), gives no tokens and ends nobody's session.
     * @param subject whose token it is
     * @throws TENDON-BFF-007 when the refresh token that was sent is the one to try again
     */
    async refresh(refreshToken: string, subject: string): Promise<RefreshOutcome> {
      const { config, answer } = await connection.observed()
      try {
        const response = await oidc.refreshTokenGrant(config, refreshToken)
        const options = { keys: providerKeys(config), previousRefreshToken: refreshToken, now }
        return { kind: 'renewed', tokens: await parseIssuedTokens(response, options) }
      } catch (err) {
        if (err instanceof oidc.ResponseBodyError && err.error === 'invalid_grant' && err.status < 500)
          return { kind: 'refused' }
        const cause = withoutPayload(err)
        const next = await nextRefreshToken(answer(), subject)
        if (next) return { kind: 'unverified', next, cause }
        throw bffErrors.providerUnavailable('The identity provider gave no new tokens.', { cause })
      }
    },

    /** Ends a refresh token and all that was issued with it (RFC 7009). */
    async revoke(refreshToken: string): Promise<void> {
      const config = await configuration()
      try {
        const revoked = oidc.tokenRevocation(config, refreshToken, { token_type_hint: 'refresh_token' })
        await within(revoked, providerTimeoutMs, failAfter(providerTimeoutMs))
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
     * @returns whether it has ended: a provider may want the browser itself for it
     */
    async endProviderSession(idToken: string): Promise<boolean> {
      const config = await configuration()
      const endpoint = config.serverMetadata().end_session_endpoint
      if (!endpoint) return true
      const response = await connection
        .fetch(endpoint, {
          method: 'POST',
          body: new URLSearchParams({ id_token_hint: idToken, client_id: clientId }),
          redirect: 'manual',
          signal: AbortSignal.timeout(providerTimeoutMs),
        })
        .catch((err) => {
          throw bffErrors.providerUnavailable('The session at the provider could not be ended.', {
            cause: withoutPayload(err),
          })
        })
      await response.body?.cancel()
      if (response.status < 500) return response.status < 400
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
  }
}

/** What the provider has sent the browser back with (RFC 6749 §4.1.2.1). */
function refusalOf({ error, error_description }: oidc.AuthorizationResponseError, cause: Error): TendonError {
  // Keycloak's words for a form that was sent after its time, as that of a tab beside one that has signed in.
  if (error_description === 'authentication_expired') {
    return bffErrors.signInExpired("The identity provider's form was sent too late.", { cause })
  }
  const reason = error_description ? `${error} (${error_description})` : error
  const isUnwell = error === 'temporarily_unavailable' || error === 'server_error'
  const refuse = isUnwell ? bffErrors.providerUnavailable : bffErrors.signInRefused
  return refuse(`The identity provider answered: ${reason}.`, { cause })
}
