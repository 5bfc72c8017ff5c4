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
  nobodyCanSignIn: {
    number: 4,
    status: 500,
    title: 'There is no identity provider for real data',
    help: 'Attach your identity provider with OIDC_ISSUER, or load the demo data into an empty CRM with --demo-data: the demo logins, whose passwords are public, are for the demo data alone.',
  },
  engineNotStarted: {
    number: 5,
    status: 500,
    title: 'The ClickHouse engine did not start',
    help: 'Read tendon.log in the data folder for its last words, or set CLICKHOUSE_URL to a real server.',
  },
  feedNotCaughtUp: {
    number: 6,
    status: 500,
    title: 'The change feed did not catch up in time',
    help: 'Read tendon.log in the data folder. A large CRM takes longer to read for the first time: raise TENDON_FEED_TIMEOUT_MS.',
  },
  dataFolderUnusable: {
    number: 8,
    status: 500,
    title: 'The data folder cannot be used',
    help: 'Choose with --data a folder that this user can write, or give them this one. If only its tendon.json is damaged, take that from a backup: it holds the keys of sessions and links. `npm start -- --reset` begins anew, without the data.',
  },
  noneRunning: {
    number: 9,
    status: 500,
    title: 'There is no running Tendon to ask',
    help: 'Start it with npm start, name its folder with --data or TENDON_DATA, or set CRM_DATABASE_URL, TELEMETRY_DATABASE_URL, CLICKHOUSE_URL to real servers.',
  },
  attachedUnusable: {
    number: 7,
    status: 500,
    title: 'An attached server cannot be used',
    help: 'Check these variables, and that the servers run and can be reached from here. Without its variable, an embedded part takes the place of a server.',
  },
})
