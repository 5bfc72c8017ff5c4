import { defineErrors } from '@tendon/platform/errors.ts'

export const etlErrors = defineErrors('ETL', {
  runFailed: {
    number: 1,
    status: 500,
    title: 'An ETL run failed',
    help: 'The log has the cause. Nothing is lost: the next run takes up what this one has not done.',
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
    help: 'The job was told to stop. The next run takes up what this one has not done.',
  },
})
