import { defineErrors } from './errors.ts'

export const platformErrors = defineErrors('PLATFORM', {
  unexpected: {
    number: 1,
    status: 500,
    title: 'Unexpected error',
    help: 'Try again; if it happens again, search the log for the request id.',
  },
  notFound: {
    number: 2,
    status: 404,
    title: 'Not found',
    help: 'Check the address.',
  },
  notReady: {
    number: 3,
    status: 503,
    title: 'Not ready',
    help: 'Wait for the service to finish starting, or read its log for what it is waiting for.',
    retryAfterSeconds: 2,
  },
  portTaken: {
    number: 4,
    status: 500,
    title: 'Port taken',
    help: 'Stop what listens there, or choose another port: of the public address with --port or PORT, of metrics and readiness with OPERATIONS_PORT.',
  },
  accessTokenMissing: {
    number: 5,
    status: 401,
    title: 'Access token missing',
    help: 'Send the header `Authorization: Bearer <access token>`.',
  },
  accessTokenInvalid: {
    number: 6,
    status: 401,
    title: 'Access token not valid',
    help: 'Get a new access token for this service from the identity provider.',
  },
  accessTokenExpired: {
    number: 7,
    status: 401,
    title: 'Access token expired',
    help: 'Get a new access token from the identity provider.',
  },
  identityProviderUnavailable: {
    number: 8,
    status: 503,
    title: 'Identity provider not available',
    help: 'Try again; if it lasts, check that the identity provider runs and can be reached from this service.',
    retryAfterSeconds: 2,
  },
  serviceTokenRefused: {
    number: 9,
    status: 503,
    title: 'Service account refused',
    help: 'Check the client id and secret of this service, and that the client may use client credentials.',
    retryAfterSeconds: 30,
  },
  objectKeyInvalid: {
    number: 10,
    status: 400,
    title: 'Object key not valid',
    help: 'Use segments of letters, digits and `._~-`, up to 200 characters each and 900 in all.',
  },
  objectStoreUnavailable: {
    number: 11,
    status: 503,
    title: 'Object store not available',
    help: 'Try again; if it lasts, check the object store, its address, its credentials and its free space.',
    retryAfterSeconds: 2,
  },
  keyValueUnavailable: {
    number: 12,
    status: 503,
    title: 'Key-value store not available',
    help: 'Try again; if it lasts, check that Redis runs, has memory and can be reached from this service.',
    retryAfterSeconds: 2,
  },
  bodyTooLarge: {
    number: 13,
    status: 413,
    title: 'Request too large',
    help: 'Send less at once.',
  },
  requestRefused: {
    number: 14,
    status: 400,
    title: 'Request not valid',
    help: 'Check the request against the description of the endpoint.',
  },
})
