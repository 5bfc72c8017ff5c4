import { defineErrors } from '@tendon/platform/errors.ts'

export const etlErrors = defineErrors('ETL', {
  runFailed: {
    number: 1,
    status: 500,
    title: 'An ETL run failed',
    help: 'Its record says why. Nothing is lost: the next run takes up what this one has not done.',
  },
  telemetryUnavailable: {
    number: 2,
    status: 503,
    title: 'The telemetry database cannot be reached',
    help: 'Check that it runs, that TELEMETRY_DATABASE_URL is right, and that the user may connect.',
    retryAfterSeconds: 5,
  },
  lockLost: {
    number: 3,
    status: 503,
    title: 'The connection that holds the ETL lock broke',
    help: 'The run was given up, and the next one repeats it. If it happens again, look for what ends the connection: a pooler in transaction mode cannot carry the lock.',
  },
  invalidationFailed: {
    number: 4,
    status: 502,
    title: 'Changed users could not be invalidated',
    help: 'Check that reports-service runs and accepts the service account. The list is kept, and the next run delivers it.',
  },
  interrupted: {
    number: 5,
    status: 503,
    title: 'An ETL run was interrupted',
    help: 'What is loaded stands. The next run, or of a backfill the same call again, goes on from there.',
  },
  sourceUnfit: {
    number: 6,
    status: 500,
    title: 'The telemetry database is not what the ETL job reads',
    help: 'Compare it with sources/telemetry/schema.sql: a table telemetry_events, with ingest_xid or at least ingested_at.',
  },
  crmUnavailable: {
    number: 7,
    status: 503,
    title: 'The CRM database cannot be reached',
    help: 'Check that it runs, that CRM_DATABASE_URL is right, and that the user may connect; or read the replicas (ETL_CRM_SOURCE=warehouse).',
    retryAfterSeconds: 5,
  },
  checkFailed: {
    number: 8,
    status: 422,
    title: 'A data check keeps an ETL run from loading',
    help: 'Look at what the check says. When the data is right all the same, run once with --accept-checks.',
  },
  runTookTooLong: {
    number: 9,
    status: 504,
    title: 'An ETL run took too long and was ended',
    help: 'The next run takes up what this one has not done. Look at its step durations (`npm run etl -- runs --json`); raise ETL_RUN_TIMEOUT_MINUTES when it needs the time.',
  },
  lockBusy: {
    number: 10,
    status: 409,
    title: 'Another ETL run did not end in time',
    help: 'A part of the backfill waited for a run and gave up. Run the same backfill again: it goes on where it stopped.',
    retryAfterSeconds: 60,
  },
  requestWrong: {
    number: 11,
    status: 422,
    title: 'The ETL job was asked for what it cannot do',
    help: 'The message says what.',
  },
})
