import { type Config, ConfigError, optionalOptions } from '@tendon/platform/config.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { cdcErrors } from '../errors.ts'
import { reportsOptions } from '../options.ts'
import type { TableChanges, Versions } from '../telling/concerned-users.ts'
import { createAttachedInvalidate, insistently } from '../telling/invalidate.ts'
import { tellUsers } from '../telling/tell-users.ts'

/** For commands that change what reports show. Without reports-service nobody is told, which they say. */
export const tellingOptions = optionalOptions(reportsOptions)

export type Telling = {
  /** @throws TENDON-CDC-026: what was changed stays so, and doing it again would find nothing to change */
  tell(changes: Iterable<TableChanges>, versions: Versions): Promise<void>
  /** Says on standard error how many users were told, or that nobody was. */
  report(): void
}

/** @throws ConfigError when there is a reports-service and no account to log in with */
export function createTelling(config: Config<typeof tellingOptions>, warehouse: Warehouse): Telling {
  const {
    reportsServiceUrl,
    oidcIssuer,
    oidcClientId = 'tendon-cdc',
    oidcClientSecret,
    oidcInternalUrl,
  } = config
  if (!reportsServiceUrl) {
    return {
      tell: async () => {},
      report: () => say('nobody was told whose reports have changed: REPORTS_SERVICE_URL is not set'),
    }
  }
  if (!oidcIssuer || !oidcClientSecret) {
    throw new ConfigError('cdc', ['REPORTS_SERVICE_URL needs OIDC_ISSUER and CDC_CLIENT_SECRET'])
  }
  const reports = { reportsServiceUrl, oidcIssuer, oidcClientId, oidcClientSecret, oidcInternalUrl }
  const invalidate = createAttachedInvalidate(reports, insistently)
  const { signal } = new AbortController()
  let told = 0
  let strays = 0
  return {
    async tell(changes, versions) {
      const all = [...changes]
      const outcome = await tellUsers({ warehouse, changes: all, versions, invalidate, signal }).catch(
        (cause: unknown) => {
          const tables = all.map(({ entry }) => entry.name).join(', ')
          throw cdcErrors.untold(`Whose reports show ${tables} was not told of its change.`, { cause })
        },
      )
      told += outcome.told
      for (const count of outcome.strays.values()) strays += count
    },
    report() {
      say(`users told that their reports have changed: ${told}`)
      if (strays > 0) say(`values of user_id that are no UUID, and so concern nobody: ${strays}`)
    },
  }
}

function say(text: string): void {
  process.stderr.write(`${text}\n`)
}
