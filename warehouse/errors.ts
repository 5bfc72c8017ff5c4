import { defineErrors } from '@tendon/platform/errors.ts'

export const warehouseErrors = defineErrors('WAREHOUSE', {
  unavailable: {
    number: 1,
    status: 503,
    title: 'ClickHouse cannot be reached',
    help: 'Try again; if it lasts, check that ClickHouse runs, and that CLICKHOUSE_URL and its credentials are right.',
    retryAfterSeconds: 2,
  },
  statementFailed: {
    number: 2,
    status: 500,
    title: 'ClickHouse refused a statement',
    help: 'The words of ClickHouse are the cause in the log, and the reason that a command prints. Where it misses a column or table, apply the migrations: a start does, and `npm run warehouse -- migrate`.',
  },
  unexpectedRow: {
    number: 3,
    status: 500,
    title: 'ClickHouse answered with a row of another shape',
    help: 'Of a query that is new, declare each column as it comes (integers of 64 bits are strings). Else apply the migrations (`npm run warehouse -- migrate`), and run one version of all services.',
  },
  migrationChanged: {
    number: 4,
    status: 500,
    title: 'A migration was changed after it had been applied',
    help: 'Migrations are append-only: restore the file, and put the change into a new one.',
  },
  migrationUnknown: {
    number: 5,
    status: 500,
    title: 'The warehouse is newer than this version',
    help: 'Run a version that has the migration named, or a later one. After a trial on a branch: `npm start -- --reset`, or a folder for each with `--data`.',
  },
  migrationNumberTaken: {
    number: 6,
    status: 500,
    title: 'Two migrations have the same number',
    help: 'Give the one that has not been applied anywhere yet the next number that is free.',
  },
})
