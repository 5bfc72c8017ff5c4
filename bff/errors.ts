import { defineErrors } from '@tendon/platform/errors.ts'

export const bffErrors = defineErrors('BFF', {
  notSignedIn: {
    number: 1,
    status: 401,
    title: 'Not signed in',
    help: 'Sign in at /auth/login.',
  },
  sessionEnded: {
    number: 2,
    status: 401,
    title: 'The session has ended',
    help: 'Sign in again at /auth/login.',
  },
  signInExpired: {
    number: 3,
    status: 400,
    title: 'This sign-in has expired or was already used',
    help: 'Start the sign-in again.',
  },
  signInElsewhere: {
    number: 4,
    status: 400,
    title: 'This sign-in was started in another browser',
    help: 'Start the sign-in again in this browser, at the address the application is published under.',
  },
  signInRefused: {
    number: 5,
    status: 403,
    title: 'The identity provider refused the sign-in',
    help: 'Start the sign-in again; if it is refused again, ask the operator whether the account may sign in.',
  },
  signInFailed: {
    number: 6,
    status: 502,
    title: 'The sign-in could not be completed',
    help: "Start the sign-in again; operators find the provider's answer in the log under the request id.",
  },
  providerUnavailable: {
    number: 7,
    status: 503,
    title: 'The identity provider does not answer',
    help: 'Try again in a few seconds. Sessions are kept.',
    retryAfterSeconds: 5,
  },
  reportsUnavailable: {
    number: 8,
    status: 502,
    title: 'The reports service cannot be reached',
    help: 'Try again in a few seconds.',
    retryAfterSeconds: 5,
  },
  reportsTimeout: {
    number: 9,
    status: 504,
    title: 'The reports service did not answer in time',
    help: 'Try again in a few seconds.',
    retryAfterSeconds: 5,
  },
  crossSiteRefused: {
    number: 10,
    status: 403,
    title: 'The request may come from another site',
    help: "Send it from the application's own pages, with the header x-tendon-csrf: 1.",
  },
  requestInvalid: {
    number: 11,
    status: 400,
    title: 'A part of the address is not valid',
    help: 'Correct the part of the address that the detail names.',
  },
  returnToRefused: {
    number: 12,
    status: 400,
    title: 'return_to is not a path of this site',
    help: 'Give a path that begins with one slash, or leave return_to out.',
  },
  eventsRefused: {
    number: 40,
    status: 403,
    title: 'Not events that this login may hear',
    help: 'Leave out user_id to hear of your own reports; only the role report-admin may hear of those of others.',
  },
  tooManyStreams: {
    number: 41,
    status: 429,
    title: 'Too many streams of events',
    help: 'Close other tabs of this application, or wait.',
    retryAfterSeconds: 30,
  },
  logoutTokenRefused: {
    number: 13,
    status: 400,
    title: 'The logout token is not valid',
    help: "Check the provider's issuer, client id and keys against this service's configuration.",
  },
})
