import { discoverClient } from '@tendon/platform/discover-client.ts'
import { createProviderFetch } from '@tendon/platform/provider-fetch.ts'
import { within } from '@tendon/platform/within.ts'
import { createRemoteJWKSet, customFetch, type JWTVerifyGetKey } from 'jose'
import * as oidc from 'openid-client'
import { bffErrors } from '../errors.ts'
import { withoutPayload } from './provider-failure.ts'

// Asymmetric only (RFC 8725 §3.1).
export const tokenAlgorithms = ['RS256', 'PS256', 'ES256']

/** How long a person waits for the provider. */
export const providerTimeoutMs = 5_000
/**
 * A refresh is not given up before the provider must have: the refresh token is spent as soon as the provider has read
 * it, and an answer that nobody waits for takes the session with it.
 */
export const tokenEndpointTimeoutMs = 30_000
export const keysTimeoutMs = 5_000
/** For how long it counts as there after an answer, so that many sign-ins do not each ask. */
const reachedForMs = 1_000
/** By how much the provider's clock may differ from ours; what openid-client allows too. */
export const clockToleranceSeconds = 30

export type ProviderConnection = ReturnType<typeof createProviderConnection>

/**
 * The way to the provider: its metadata and its keys. They are read on first use and again after a failure, because the
 * provider may start after this service, or in the same process.
 */
export function createProviderConnection(options: {
  issuer: string
  /** The origin at which this process reaches the provider, when not at its public one. */
  internalUrl: string | undefined
  clientId: string
  clientSecret: string
}) {
  const { issuer, internalUrl, clientId, clientSecret } = options
  const providerFetch = createProviderFetch(issuer, internalUrl)
  let discovered: Promise<oidc.Configuration> | undefined
  let keySet: JWTVerifyGetKey | undefined
  let reachedAtMs = Number.NEGATIVE_INFINITY

  /** @throws TENDON-BFF-007 when the provider does not tell about itself */
  async function configuration(): Promise<oidc.Configuration> {
    discovered ??= discoverClient({
      issuer,
      internalUrl,
      clientId,
      clientSecret,
      timeoutMs: tokenEndpointTimeoutMs,
    })
      .then((config) => {
        reachedAtMs = performance.now()
        return complete(config)
      })
      .catch((err) => {
        discovered = undefined
        throw bffErrors.providerUnavailable('The identity provider could not be reached.', {
          cause: withoutPayload(err),
        })
      })
    return within(discovered, providerTimeoutMs, () => {
      throw bffErrors.providerUnavailable('The identity provider takes too long to answer.')
    })
  }

  /**
   * Asked before a browser is sent there: of a provider that is away it would be left on an error of its own, from which
   * nothing leads back.
   * @throws TENDON-BFF-007
   */
  async function assertReachable(): Promise<void> {
    if (performance.now() - reachedAtMs < reachedForMs) return
    const address = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
    const signal = AbortSignal.timeout(providerTimeoutMs)
    try {
      const answer = await providerFetch(address, { signal })
      await answer.body?.cancel()
      if (answer.status >= 500) throw new Error(`it answers ${answer.status}`)
      reachedAtMs = performance.now()
    } catch (err) {
      throw bffErrors.providerUnavailable('The identity provider does not answer.', {
        cause: withoutPayload(err),
      })
    }
  }

  /**
   * The same for one request, whose answer can be looked at afterwards: one that openid-client does not accept it keeps
   * to itself.
   */
  async function observed(): Promise<{ config: oidc.Configuration; answer(): Response | undefined }> {
    const shared = await configuration()
    const send = shared[oidc.customFetch]!
    let answer: Response | undefined
    const config = new oidc.Configuration(
      shared.serverMetadata(),
      clientId,
      undefined,
      oidc.ClientSecretBasic(clientSecret),
    )
    config.timeout = shared.timeout
    config[oidc.customFetch] = async (url, init) => {
      const response = await send(url, init)
      answer = response.clone()
      return response
    }
    // As in `discoverClient`.
    if (issuer.startsWith('http:')) oidc.allowInsecureRequests(config)
    return { config, answer: () => answer }
  }

  /** The provider's keys; of a token whose key is not among them, they are fetched again. */
  function providerKeys(config: oidc.Configuration): JWTVerifyGetKey {
    keySet ??= createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri!), {
      [customFetch]: providerFetch,
      timeoutDuration: keysTimeoutMs,
      // For a provider that rotates its keys: until they are fetched again, nobody signs in or gets new tokens.
      cooldownDuration: 1_000,
    })
    return keySet
  }

  return { clientId, fetch: providerFetch, configuration, assertReachable, observed, providerKeys }
}

/** Of a provider that is about to start the first answers may lack what nothing goes without: it is asked again. */
function complete(config: oidc.Configuration): oidc.Configuration {
  const metadata = config.serverMetadata()
  for (const name of ['authorization_endpoint', 'token_endpoint', 'jwks_uri'] as const)
    if (!metadata[name]) throw new Error(`the provider's metadata has no ${name}`)
  return config
}
