import {
  type Config,
  databaseUrlOption,
  defineOptions,
  portOption,
  textOption,
  urlOption,
} from '@tendon/platform/config.ts'
import { logLevels } from '@tendon/platform/log.ts'
import { warehouseOptions } from '@tendon/warehouse/options.ts'
import { z } from 'zod'
import { scheduleOption } from './run/schedule.ts'
import { createTimeZones } from './time/time-zones.ts'

/** By what a day's telemetry is read and given to its owner. */
export const readingOptions = defineOptions({
  workMem: {
    env: 'ETL_WORK_MEM',
    type: z.string().regex(/^\d+(kB|MB|GB)$/, 'not a size like 64MB'),
    default: '64MB',
    help: 'Memory of one sort in the telemetry database before it goes to disk (work_mem)',
  },
  timeZone: {
    env: 'ETL_DEFAULT_TIME_ZONE',
    type: z.string().refine((name) => createTimeZones()(name) !== undefined, 'not an IANA time zone'),
    default: 'UTC',
    help: 'Time zone of the days of customers who have none in the CRM, and of telemetry that is nobody’s',
  },
  firstDay: {
    env: 'ETL_FIRST_DAY',
    type: z.iso
      .date()
      .refine((day) => day >= '1970-01-02' && day < '2149-01-01', 'outside of 1970-01-02 to 2148-12-31'),
    default: '2000-01-01',
    help: 'First day that is measured. What stands for days before it is kept, also when their telemetry is dropped',
  },
})
export type ReadingConfig = Config<typeof readingOptions>

/** By what all that is new is measured. */
export const measuringOptions = defineOptions({
  ...readingOptions,
  parallel: {
    env: 'ETL_PARALLEL',
    flag: 'parallel',
    type: z.coerce.number<string>().int().min(1).max(32),
    default: 2,
    help: 'Connections to the telemetry database that read at the same time, on one snapshot',
  },
  timestampLagMinutes: {
    env: 'ETL_TIMESTAMP_LAG_MINUTES',
    type: z.coerce.number<string>().int().min(0),
    default: 60,
    help: 'For a source without ingest_xid: how far before the last run rows are read again, as long as transactions may be open',
  },
})
export type MeasuringConfig = Config<typeof measuringOptions>

/** By what a run ends, whoever began it. */
export const runOptions = defineOptions({
  ...measuringOptions,
  runTimeoutMinutes: {
    env: 'ETL_RUN_TIMEOUT_MINUTES',
    type: z.coerce.number<string>().positive().max(35_000),
    default: 60,
    help: 'After how long a run counts as stuck and is ended',
  },
})
export type RunConfig = Config<typeof runOptions>

/** How the job runs, wherever its parts come from. */
export const etlOptions = defineOptions({
  schedule: {
    env: 'ETL_SCHEDULE',
    type: scheduleOption,
    default: '*/15 * * * *',
    help: 'When to run: a cron expression of five fields, in UTC',
  },
  firstRun: {
    env: 'ETL_FIRST_RUN',
    type: z.enum(['background', 'await']),
    default: 'background',
    help: 'Whether the start waits for the first run, or leaves it in the background',
  },
  ...runOptions,
})
export type EtlConfig = Config<typeof etlOptions>

/** Where the job reads, and where what it has measured stands. */
export const sourceOptions = defineOptions({
  ...warehouseOptions,
  telemetryDatabaseUrl: {
    env: 'TELEMETRY_DATABASE_URL',
    type: databaseUrlOption,
    help: 'Address of the telemetry database, as in postgresql://user:password@host/telemetry',
  },
  crmSource: {
    env: 'ETL_CRM_SOURCE',
    type: z.enum(['warehouse', 'postgres']),
    default: 'warehouse',
    help: 'Where customers, prostheses and models are read: the replicas in ClickHouse, or the CRM itself',
  },
  crmDatabaseUrl: {
    env: 'CRM_DATABASE_URL',
    type: databaseUrlOption,
    optional: true,
    help: 'Address of the CRM database; needed with ETL_CRM_SOURCE=postgres',
  },
  logLevel: {
    env: 'LOG_LEVEL',
    type: z.enum(logLevels),
    default: 'info',
    help: 'Least level that is logged',
  },
})
export type SourceConfig = Config<typeof sourceOptions>

/** Who is told whose numbers changed. */
export const tellingOptions = defineOptions({
  reportsServiceUrl: {
    env: 'REPORTS_SERVICE_URL',
    type: urlOption,
    help: 'Address of reports-service, which is told whose numbers changed',
  },
  oidcIssuer: { env: 'OIDC_ISSUER', type: urlOption, help: 'Issuer of the access tokens' },
  oidcInternalUrl: {
    env: 'OIDC_INTERNAL_URL',
    type: urlOption,
    optional: true,
    help: 'Where this process reaches the issuer, when not at its public address',
  },
  oidcClientId: {
    env: 'ETL_CLIENT_ID',
    type: textOption,
    default: 'tendon-etl',
    help: 'Service account of the job at the issuer',
  },
  oidcClientSecret: { env: 'ETL_CLIENT_SECRET', type: textOption, help: 'Secret of that service account' },
})

/** The job with the addresses of the real parts. */
export const attachedOptions = defineOptions({ ...etlOptions, ...sourceOptions, ...tellingOptions })
export type AttachedConfig = Config<typeof attachedOptions>

export const serviceOptions = defineOptions({
  ...attachedOptions,
  host: { env: 'HOST', type: textOption, default: '127.0.0.1', help: 'Address to listen on' },
  port: { env: 'PORT', flag: 'port', type: portOption, default: 8084, help: 'Port of health and metrics' },
})
