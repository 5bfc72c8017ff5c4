import * as oidc from 'openid-client'
import { platformErrors } from './platform-errors.ts'
import { createProviderFetch } from './provider-fetch.ts'

/**
 * @returns a service account's access token, good for at least half a minute (or half its life, when shorter)
 * @throws TENDON-PLATFORM-008 (the provider cannot be reached) or -009 (it refuses the client)
 */
export type ServiceTokenSource = () => Promise<string>

type CachedToken = { accessToken: string; renewAtMs: number }

const marginS = 30
const timeoutS = 5

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
  const { issuer, clientId, now = Date.now } = options
  let client: oidc.Configuration | undefined
  let cached: CachedToken | undefined
  let fetching: Promise<CachedToken> | undefined

  async function fetchToken(): Promise<CachedToken> {
    try {
      client ??= await discoverClient(options)
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

function discoverClient(options: {
  issuer: string
  clientId: string
  clientSecret: string
  internalUrl?: string | undefined
}): Promise<oidc.Configuration> {
  const { issuer, clientId, clientSecret, internalUrl } = options
  const providerFetch = createProviderFetch(issuer, internalUrl)
  // Plain HTTP is refused by default; here it is the operator's own choice, as on loopback.
  const isPlainHttp = [issuer, internalUrl].some((address) => address?.startsWith('http:'))
  return oidc.discovery(new URL(issuer), clientId, undefined, oidc.ClientSecretBasic(clientSecret), {
    // The only bodies of these requests are forms.
    [oidc.customFetch]: (url, { body, ...init }) =>
      providerFetch(url, { ...init, body: body instanceof URLSearchParams ? body : null }),
    timeout: timeoutS,
    execute: isPlainHttp ? [oidc.allowInsecureRequests] : [],
  })
}

/** The provider answered, and the answer is no (RFC 6749 §5.2), rather than that it is unwell. */
function isRefusal(error: unknown): boolean {
  const refused =
    error instanceof oidc.ResponseBodyError || error instanceof oidc.WWWAuthenticateChallengeError
  return refused && error.status < 500
}
