import { createOidcClient } from '@tendon/bff/oidc-client.ts'
import { createProviderConnection } from '@tendon/bff/provider-connection.ts'
import { TestBrowser } from '@tendon/bff/test-browser.fixture.ts'
import type { TestTendon } from './test-tendon.fixture.ts'

/** An access token of a person, got as the bff gets it, which no browser ever sees. @returns `Bearer <token>` */
export async function userToken(
  { url, settings }: TestTendon,
  username: string,
  clientId = 'bff',
): Promise<string> {
  const client = createOidcClient({
    connection: createProviderConnection({
      issuer: settings.OIDC_ISSUER,
      internalUrl: undefined,
      clientId,
      clientSecret: settings.OIDC_CLIENT_SECRET,
    }),
    redirectUri: `${url}/callback`,
    postLogoutRedirectUri: `${url}/`,
    now: Date.now,
  })
  const { url: address, ...secrets } = await client.beginSignIn()
  const callback = await new TestBrowser().signIn(address, username, `${url}/callback`)
  const { accessToken } = await client.finishSignIn(callback.url.search, secrets)
  return `Bearer ${accessToken}`
}
