import { defineErrors } from '@tendon/platform/errors.ts'

export const reportsErrors = defineErrors('REPORTS', {
  dateMalformed: {
    number: 1,
    status: 400,
    title: 'Date not valid',
    help: 'Write the day as YYYY-MM-DD, from 1970-01-01 on.',
  },
  dateInFuture: {
    number: 2,
    status: 400,
    title: 'Date in the future',
    help: 'Ask for today or a day before it, as it is where the customer lives.',
  },
  reportUnknown: {
    number: 3,
    status: 404,
    title: 'No such report',
    help: 'GET /api/reports at the address of the pages, /reports at the service itself, lists the reports you may read.',
  },
  otherUsersReport: {
    number: 4,
    status: 403,
    title: "Another user's report",
    help: 'Leave out user_id to read your own report; only the role report-admin may read those of others.',
  },
  customerMissing: {
    number: 5,
    status: 403,
    title: 'No customer in the token',
    help: 'Sign in as a patient, or as staff name the customer with ?user_id=.',
  },
  roleMissing: {
    number: 6,
    status: 403,
    title: 'Role missing',
    help: 'Ask the administrator of the identity provider for the role.',
  },
  warehouseUnavailable: {
    number: 7,
    status: 503,
    title: 'Warehouse not available',
    help: 'Try again; if it lasts, the log says whether ClickHouse could not be reached, took too long, or refused the query.',
    retryAfterSeconds: 2,
  },
  reportSuperseded: {
    number: 8,
    status: 503,
    title: 'Report changed while it was computed',
    help: "Try again; if it lasts, find out what invalidates this customer's reports without a pause.",
    retryAfterSeconds: 1,
  },
  requestInvalid: {
    number: 9,
    status: 400,
    title: 'Request not valid',
    help: 'GET /api/reports/openapi.json at the address of the pages, /openapi.json at the service itself, describes every request.',
  },
  bodyTooLarge: {
    number: 10,
    status: 413,
    title: 'Request body too large',
    help: 'Invalidate at most 100,000 users with one request.',
  },
  reportBusy: {
    number: 11,
    status: 503,
    title: 'Too many reports at once',
    help: 'Try again; if it lasts, add instances or raise REPORTS_CONCURRENT_QUERIES.',
    retryAfterSeconds: 2,
  },
  customerUnknown: {
    number: 12,
    status: 404,
    title: 'No such customer',
    help: 'Check that the customer stands in the CRM and that the change feed has caught up.',
  },
  reportDeclarationInvalid: {
    number: 13,
    status: 500,
    title: 'Report not declared correctly',
    help: 'Each folder of reports/ holds a report.ts that exports `report`, named like the folder.',
  },
  objectsReplaced: {
    number: 14,
    status: 503,
    title: 'Object store replaces objects',
    help: 'Use an S3 service that knows conditional writes (`If-None-Match: *` with PutObject), or a version of it that does; a proxy in front of it must pass the header on.',
  },
})
