import type { Log } from '@tendon/platform/log.ts'
import type { Account, ClientMetadata, KoaContextWithOIDC, Provider } from 'oidc-provider'
import { oidc } from './npm-oidc-provider.ts'
import { errorPage, logoutPage, signedOutPage } from './pages.ts'
import type { Person } from './people.ts'
import type { loadProviderKeys } from './provider-keys.ts'
import type { ProviderStore } from './provider-store.ts'

/** An application that signs people in, or a service that acts for itself with its own roles. */
export type ProviderClient =
  | {
      clientId: string
      clientSecret: string
      redirectUris: string[]
      postLogoutRedirectUris: string[]
      backchannelLogoutUri?: string
    }
  | { clientId: string; clientSecret: string; roles: string[] }

/** RFC 8707 §2 wants a resource indicator to be an absolute URI; the audience in the token may be any name. */
const reportsResource = 'urn:tendon:reports-service'
const reportsAudience = 'reports-service'
const accessTokenSeconds = 300
/** A working day: how long one sign-in lasts. */
const signInSeconds = 8 * 3600

/** npm oidc-provider, set up for first-party applications: no consent screen, PKCE S256 only, rotated refresh tokens. */
export function createOidcProvider(options: {
  issuer: string
  mountPath: string
  store: ProviderStore
  keys: Awaited<ReturnType<typeof loadProviderKeys>>
  clients: ProviderClient[]
  people: Person[]
  log: Log
}): Provider {
  const { issuer, mountPath, store, keys, clients, people, log } = options
  const cookie = { httpOnly: true, sameSite: 'lax', path: mountPath || '/' } as const

  const provider = new oidc.Provider(issuer, {
    adapter: (model) => store.adapter(model),
    jwks: { keys: [keys.signing] },
    clients: clients.map(clientMetadata),
    cookies: { keys: [keys.cookies], long: cookie, short: { httpOnly: true, sameSite: 'lax' } },
    scopes: ['openid', 'profile', 'email'],
    claims: {
      openid: ['sub', 'customer_id', 'roles'],
      profile: ['name', 'preferred_username'],
      email: ['email'],
    },
    // The profile goes into the ID token, as Keycloak does it; the specification's default wants a userinfo request.
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    rotateRefreshToken: true,
    ttl: {
      AccessToken: accessTokenSeconds,
      ClientCredentials: accessTokenSeconds,
      AuthorizationCode: 60,
      IdToken: accessTokenSeconds,
      Interaction: 600,
      RefreshToken: signInSeconds,
      Session: signInSeconds,
      Grant: signInSeconds,
    },
    // The library refuses back-channel requests to loopback addresses (a guard against SSRF through registered
    // clients). The clients here are given in code, and loopback is where they live.
    fetch: (url, init) => {
      const { dispatcher: _guard, ...rest } = { dispatcher: undefined, ...init }
      return fetch(url, rest)
    },
    interactions: {
      policy: signInPolicy(),
      url: (_ctx, interaction) => `${mountPath}/interaction/${interaction.uid}`,
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      backchannelLogout: { enabled: true },
      revocation: {
        enabled: true,
        allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId,
      },
      rpInitiatedLogout: {
        enabled: true,
        async logoutSource(ctx, form) {
          ctx.body = await logoutPage(form, namesItsOwnSession(ctx))
        },
        async postLogoutSuccessSource(ctx) {
          ctx.body = await signedOutPage()
        },
      },
      resourceIndicators: {
        enabled: true,
        // Clients need not send `resource`: there is one.
        defaultResource: () => reportsResource,
        useGrantedResource: () => true,
        getResourceServerInfo(_ctx, resource) {
          if (resource !== reportsResource) throw new oidc.errors.InvalidTarget()
          return {
            scope: 'reports',
            audience: reportsAudience,
            accessTokenTTL: accessTokenSeconds,
            accessTokenFormat: 'jwt',
            jwt: { sign: { alg: 'RS256' } },
          }
        },
      },
    },
    extraTokenClaims(_ctx, token) {
      const client = clients.find((candidate) => candidate.clientId === token.clientId)
      if (client && 'roles' in client) return { roles: client.roles }
      const person = token.kind === 'AccessToken' && findPerson(people, token.accountId)
      if (!person) return undefined
      return { roles: person.roles, ...(person.customerId && { customer_id: person.customerId }) }
    },
    // Asked again at every refresh: who is no longer among the people is refused there.
    findAccount: (_ctx, sub) => accountOf(findPerson(people, sub)),
    loadExistingGrant,
    async renderError(ctx, out) {
      ctx.type = 'html'
      ctx.body = await errorPage(out.error_description ?? out.error, new URL(issuer).origin)
    },
  })
  // Host and protocol are the issuer's by the time a request is here: see identity-provider.ts.
  provider.proxy = true
  logEvents(provider, log)
  return provider
}

function clientMetadata(client: ProviderClient): ClientMetadata {
  const credentials = {
    client_id: client.clientId,
    client_secret: client.clientSecret,
    token_endpoint_auth_method: 'client_secret_basic',
  } as const
  if ('roles' in client) {
    return { ...credentials, grant_types: ['client_credentials'], response_types: [], redirect_uris: [] }
  }
  return {
    ...credentials,
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    redirect_uris: client.redirectUris,
    require_auth_time: true,
    post_logout_redirect_uris: client.postLogoutRedirectUris,
    ...(client.backchannelLogoutUri && {
      backchannel_logout_uri: client.backchannelLogoutUri,
      backchannel_logout_session_required: true,
    }),
  }
}

/** A session kept over a restart may name somebody who is gone: ask for a sign-in, where the library would fail. */
function signInPolicy() {
  const { base, Check } = oidc.interactionPolicy
  const policy = base()
  policy
    .get('login')
    ?.checks.add(
      new Check('account_unavailable', 'the account cannot sign in', 'login_required', (ctx) =>
        ctx.oidc.session?.accountId && !ctx.oidc.account ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT,
      ),
    )
  return policy
}

const findPerson = (people: Person[], sub: string) => people.find((person) => person.username === sub)

function accountOf(person: Person | undefined): Account | undefined {
  if (!person) return undefined
  const { username, customerId, roles, name, email } = person
  return {
    accountId: username,
    claims: () => ({
      sub: username,
      ...(customerId && { customer_id: customerId }),
      roles,
      name,
      preferred_username: username,
      email,
    }),
  }
}

/** First-party applications are granted what they ask for, without a consent screen. */
async function loadExistingGrant(ctx: KoaContextWithOIDC) {
  const { client, session, provider } = ctx.oidc
  if (!client || !session?.accountId) return undefined
  const grantId = session.grantIdFor(client.clientId)
  const existing = grantId ? await provider.Grant.find(grantId) : undefined
  if (existing) return existing
  const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId })
  grant.addOIDCScope('openid profile email')
  grant.addResourceScope(reportsResource, 'reports')
  await grant.save()
  return grant
}

/**
 * Whether a logout request was made by the application itself: then nobody is asked again. OpenID Connect
 * RP-Initiated Logout 1.0 §2 proves it by an ID token in the URL, but no token may stand in a URL here; the id of
 * the session, which only provider and application know, is as hard to guess and opens nothing.
 */
function namesItsOwnSession(ctx: KoaContextWithOIDC): boolean {
  const { client, session, params } = ctx.oidc
  const sid = client && session?.sidFor(client.clientId)
  return sid !== undefined && sid === params?.logout_hint
}

function logEvents(provider: Provider, log: Log): void {
  const grantOf = (ctx: KoaContextWithOIDC) => ({
    client_id: ctx.oidc.client?.clientId,
    grant_type: ctx.oidc.params?.grant_type,
  })
  provider.on('grant.success', (ctx) => log.info(grantOf(ctx), 'tokens issued'))
  provider.on('grant.error', (ctx, err) => log.warn({ ...grantOf(ctx), err }, 'tokens refused'))
  provider.on('authorization.error', (_ctx, err) => log.warn({ err }, 'authorization refused'))
  provider.on('backchannel.error', (_ctx, err, client) =>
    log.warn({ err, client_id: client.clientId }, 'back-channel logout not delivered'),
  )
  provider.on('server_error', (_ctx, err) => log.error({ err }, 'identity provider failed'))
}
