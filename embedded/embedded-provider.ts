import { join } from 'node:path'
import {
  createIdentityProvider,
  type IdentityProvider,
} from '@tendon/bff/identity-provider/identity-provider.ts'
import type { Addresses } from './addresses.ts'
import type { DataFolder } from './data-folder.ts'
import { demoLogins } from './demo-logins.ts'
import { embeddedErrors } from './errors.ts'
import type { LogFor } from './log-for.ts'
import type { EmbeddedConfig } from './options.ts'
import { publicPaths } from './serve-public.ts'

/**
 * The embedded provider's people have public passwords: they may stand before the demo data and nothing else.
 * @throws TENDON-EMBEDDED-004
 */
export function requireSignIn(config: EmbeddedConfig, { hasDemoPeople }: { hasDemoPeople: boolean }): void {
  if (config.oidcIssuer || hasDemoPeople) return
  throw embeddedErrors.nobodyCanSignIn(
    'OIDC_ISSUER is not set, and the CRM does not hold the demo data: nobody could sign in safely.',
  )
}

/** The provider of the demo; its keys and grants are kept in the data folder. */
export function createEmbeddedProvider(options: {
  addresses: Addresses
  folder: DataFolder
  logFor: LogFor
}): IdentityProvider {
  const { addresses, folder, logFor } = options
  const { publicUrl, loopbackUrl } = addresses
  const { bff, cdc, etl } = folder.secrets.clientSecrets
  return createIdentityProvider({
    issuer: publicUrl + publicPaths.identityProvider,
    dataPath: join(folder.path, 'identity'),
    clients: [
      {
        clientId: 'bff',
        clientSecret: bff,
        redirectUris: [`${publicUrl}/callback`],
        postLogoutRedirectUris: [`${publicUrl}/`],
        backchannelLogoutUri: `${loopbackUrl}/auth/backchannel-logout`,
      },
      { clientId: 'tendon-cdc', clientSecret: cdc, roles: ['report-invalidator'] },
      { clientId: 'tendon-etl', clientSecret: etl, roles: ['report-invalidator'] },
    ],
    people: demoLogins,
    log: logFor('identity-provider'),
    demoPasswordsShown: true,
  })
}
