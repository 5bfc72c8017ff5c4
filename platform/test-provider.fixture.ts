import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair } from 'jose'
import { Provider } from 'oidc-provider'

/**
 * A real OpenID provider with one service account, over HTTP.
 * @param options.issuer need not be reachable: the provider answers at its internal address
 */
export async function startTestProvider(options: {
  issuer: string
  clientId: string
  clientSecret: string
  port?: number
  tokenLifeS?: number
}) {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true })
  const provider = new Provider(options.issuer, {
    jwks: { keys: [{ ...(await exportJWK(privateKey)), kid: 'k1', alg: 'RS256', use: 'sig' }] },
    clients: [
      {
        client_id: options.clientId,
        client_secret: options.clientSecret,
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
        token_endpoint_auth_method: 'client_secret_basic',
      },
    ],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => 'urn:tendon:reports-service',
        getResourceServerInfo: () => ({
          scope: '',
          audience: 'reports-service',
          accessTokenFormat: 'jwt',
          accessTokenTTL: options.tokenLifeS ?? 300,
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
    extraTokenClaims: () => ({ roles: ['report-invalidator'] }),
  })
  let tokenRequests = 0
  const handle = provider.callback()
  const server = createServer((request, response) => {
    if (request.url === '/token') tokenRequests += 1
    handle(request, response)
  })
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    port,
    internalUrl: `http://127.0.0.1:${port}`,
    tokenRequests: () => tokenRequests,
    async stop(): Promise<void> {
      if (!server.listening) return
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
