import { TestBrowser } from '@tendon/bff/fixtures/test-browser.fixture.ts'
import { createOidcClient } from '@tendon/bff/relying-party/oidc-client.ts'
import { createProviderConnection } from '@tendon/bff/relying-party/provider-connection.ts'
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
  const page = await new TestBrowser().signIn(address, username, `${url}/callback`)
  if (!page.url.searchParams.has('code')) {
    throw new Error(`${username} was not signed in: ${page.status} ${page.url} ${page.text}`)
  }
  const { accessToken } = await client.finishSignIn(page.url.search, secrets)
  return `Bearer ${accessToken}`
}
