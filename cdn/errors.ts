import { defineErrors } from '@tendon/platform/errors.ts'

export const cdnErrors = defineErrors('CDN', {
  urlRefused: {
    number: 1,
    status: 403,
    title: 'Link not valid',
    help: 'Ask for the report again: a link is for GET of one object, and expires.',
  },
  objectMissing: {
    number: 2,
    status: 404,
    title: 'Object not found',
    help: 'Ask for the report again: it gets a new link.',
  },
  methodRefused: {
    number: 3,
    status: 405,
    title: 'Method not allowed',
    help: 'Use GET or HEAD.',
    headers: { allow: 'GET, HEAD' },
  },
  /** nginx's alone: it keeps apart what it may not read from what is away. */
  storeRefused: {
    number: 4,
    status: 503,
    title: 'Object store refuses the CDN',
    help: 'Try again later; if it lasts, read `store` in the log of the CDN, which is the code of the object store, and check the key, its policy, the bucket, the region and the clock.',
    retryAfterSeconds: 30,
  },
  rangeMissing: {
    number: 5,
    status: 416,
    title: 'Range not in the object',
    help: 'Ask for a range that begins before the end, which stands in Content-Range.',
  },
  conditionFailed: {
    number: 6,
    status: 412,
    title: 'Object in another state',
    help: 'Ask again without If-Match and If-Unmodified-Since.',
  },
})
