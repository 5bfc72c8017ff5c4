import * as oidc from 'openid-client'
import { discoverClient } from './discover-client.ts'
import { platformErrors } from './platform-errors.ts'

/**
 * @returns a service account's access token, good for at least half a minute (or half its life, when shorter)
 * @throws TENDON-PLATFORM-008 (the provider cannot be reached) or -009 (it refuses the client)
 */
export type ServiceTokenSource = () => Promise<string>

type CachedToken = { accessToken: string; renewAtMs: number }

const marginS = 30
const timeoutMs = 5_000

/**
 * Tokens by the client credentials grant (RFC 6749 §4.4), one request at a time however many callers wait, kept
 * until shortly before they expire. A failure is not kept: the next call tries again.
 */
export function createServiceTokenSource(options: {
  issuer: string
  clientId: string
  clientSecret: string
  /** The origin at which this process reaches the provider, when not at its public one. */
  internalUrl?: string | undefined
  /** Milliseconds; tests pass their own clock. */
  now?: () => number
}): ServiceTokenSource {
  const { issuer, clientId, clientSecret, internalUrl, now = Date.now } = options
  let client: oidc.Configuration | undefined
  let cached: CachedToken | undefined
  let fetching: Promise<CachedToken> | undefined

  async function fetchToken(): Promise<CachedToken> {
    try {
      client ??= await discoverClient({ issuer, internalUrl, clientId, clientSecret, timeoutMs })
      const askedAtMs = now()
      const tokens = await oidc.clientCredentialsGrant(client)
      const lifeS = tokens.expires_in ?? 0
      cached = {
        accessToken: tokens.access_token,
        renewAtMs: askedAtMs + (lifeS - Math.min(marginS, lifeS / 2)) * 1000,
      }
      return cached
    } catch (error) {
      if (isRefusal(error)) {
        throw platformErrors.serviceTokenRefused(`${issuer} gives no token to the client ${clientId}.`, {
          cause: error,
        })
      }
      throw platformErrors.identityProviderUnavailable(`${issuer} could not be asked for a token.`, {
        cause: error,
      })
    }
  }

  return async () => {
    if (cached && now() < cached.renewAtMs) return cached.accessToken
    fetching ??= fetchToken().finally(() => {
      fetching = undefined
    })
    return (await fetching).accessToken
  }
}

/** The provider answered, and the answer is no (RFC 6749 §5.2), rather than that it is unwell. */
function isRefusal(error: unknown): boolean {
  const refused =
    error instanceof oidc.ResponseBodyError || error instanceof oidc.WWWAuthenticateChallengeError
  return refused && error.status < 500
}
