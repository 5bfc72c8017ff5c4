import { defineErrors } from '@tendon/platform/errors.ts'

export const embeddedErrors = defineErrors('EMBEDDED', {
  dataFolderHeld: {
    number: 1,
    status: 500,
    title: 'The data folder is in use',
    help: 'Stop the other Tendon, or choose another folder with --data.',
  },
  platformUnsupported: {
    number: 2,
    status: 500,
    title: 'No embedded parts for this platform',
    help: 'The embedded PostgreSQL and ClickHouse engine exist for Linux (glibc) and macOS, on x64 and arm64. Elsewhere, set CRM_DATABASE_URL, TELEMETRY_DATABASE_URL and CLICKHOUSE_URL to real servers.',
  },
  dataFolderForeign: {
    number: 3,
    status: 500,
    title: 'The folder holds something else',
    help: 'Choose an empty folder, or one that Tendon made, with --data.',
  },
})
