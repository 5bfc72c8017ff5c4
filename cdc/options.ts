import { type Config, defineOptions, portOption, textOption, urlOption } from '@tendon/platform/config.ts'
import { logLevels } from '@tendon/platform/log.ts'
import { warehouseOptions } from '@tendon/warehouse/options.ts'
import { z } from 'zod'

/** PostgreSQL takes these names without quotes (docs, "Replication Slots"). */
const slotNameOption = z.string().regex(/^[a-z0-9_]{1,63}$/, 'not of lower-case letters, digits and _')

/** How the feed runs, wherever its parts come from. */
export const cdcOptions = defineOptions({
  crmDatabaseUrl: {
    env: 'CRM_DATABASE_URL',
    type: urlOption,
    help: 'Address of the CRM database, as in postgresql://user:password@host/crm; the user needs REPLICATION and SELECT',
  },
  slotName: {
    env: 'CDC_SLOT',
    type: slotNameOption,
    default: 'tendon_cdc',
    help: 'Replication slot of the feed; it is made when it is missing',
  },
  publicationName: {
    env: 'CDC_PUBLICATION',
    type: textOption,
    default: 'tendon_cdc',
    help: 'Publication of the tables in the registry; it is made when it is missing',
  },
})
export type CdcConfig = Config<typeof cdcOptions>

/** The feed with the addresses of the real parts. */
export const serviceOptions = defineOptions({
  ...cdcOptions,
  ...warehouseOptions,
  reportsServiceUrl: {
    env: 'REPORTS_SERVICE_URL',
    type: urlOption,
    help: 'Address of reports-service, which is told whose reports changed',
  },
  oidcIssuer: { env: 'OIDC_ISSUER', type: urlOption, help: 'Issuer of the access tokens' },
  oidcInternalUrl: {
    env: 'OIDC_INTERNAL_URL',
    type: urlOption,
    optional: true,
    help: 'Where this process reaches the issuer, when not at its public address',
  },
  oidcClientId: {
    env: 'CDC_CLIENT_ID',
    type: textOption,
    default: 'tendon-cdc',
    help: 'Service account of the feed at the issuer',
  },
  oidcClientSecret: { env: 'CDC_CLIENT_SECRET', type: textOption, help: 'Its secret' },
  logLevel: {
    env: 'LOG_LEVEL',
    type: z.enum(logLevels),
    default: 'info',
    help: 'Least level that is logged',
  },
  host: { env: 'HOST', type: textOption, default: '127.0.0.1', help: 'Address to listen on' },
  port: { env: 'PORT', flag: 'port', type: portOption, default: 8083, help: 'Port of health and metrics' },
})
