import * as oidc from 'openid-client'
import { createProviderFetch } from './provider-fetch.ts'

/**
 * A confidential client of an OpenID provider (client_secret_basic), with the provider's metadata as it is now.
 * @param options.internalUrl the origin at which this process reaches the provider, when not at its public one
 * @param options.timeoutMs of each request, this one included
 * @throws whatever fetch and openid-client throw; their errors may carry the provider's answer
 */
export function discoverClient(options: {
  issuer: string
  internalUrl: string | undefined
  clientId: string
  clientSecret: string
  timeoutMs: number
}): Promise<oidc.Configuration> {
  const { issuer, internalUrl, clientId, clientSecret, timeoutMs } = options
  const providerFetch = createProviderFetch(issuer, internalUrl)
  // Plain HTTP is refused by default; here it is the operator's own choice, as on loopback. What `internalUrl` is
  // does not matter: the addresses in the metadata are public ones, and rewritten only when they are fetched.
  const isPlainHttp = issuer.startsWith('http:')
  return oidc.discovery(new URL(issuer), clientId, undefined, oidc.ClientSecretBasic(clientSecret), {
    // The only bodies of these requests are forms.
    [oidc.customFetch]: (url, { body, ...init }) =>
      providerFetch(url, { ...init, body: body instanceof URLSearchParams ? body : null }),
    timeout: timeoutMs / 1000,
    execute: isPlainHttp ? [oidc.allowInsecureRequests] : [],
  })
}
