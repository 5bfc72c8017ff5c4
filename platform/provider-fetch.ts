export type ProviderFetch = (url: string, init?: RequestInit) => Promise<Response>

/**
 * A `fetch` that reaches the identity provider at another origin than the one it is known by.
 *
 * Tokens and metadata name the issuer's public address, which need not be reachable from this process (a
 * tunnel, a container's own network). Requests to the issuer's origin go to `internalUrl`'s origin; others, as
 * to a key server elsewhere, are left as they are.
 */
export function createProviderFetch(issuer: string, internalUrl: string | undefined): ProviderFetch {
  if (!internalUrl) return (url, init) => fetch(url, init)
  const publicOrigin = new URL(issuer).origin
  const internalOrigin = new URL(internalUrl).origin
  return (url, init) => {
    const target = new URL(url)
    const rewritten = target.origin === publicOrigin ? internalOrigin + target.pathname + target.search : url
    return fetch(rewritten, init)
  }
}
