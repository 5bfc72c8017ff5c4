import { defineErrors } from '@tendon/platform/errors.ts'

/** What goes wrong in the browser itself; everything else is shown as the service answered it. */
export const webErrors = defineErrors('WEB', {
  unreachable: {
    number: 1,
    status: 503,
    title: 'No connection',
    help: 'Check your internet connection. The page tries again by itself.',
  },
  unreadableAnswer: {
    number: 2,
    status: 502,
    title: 'An answer this page cannot read',
    help: 'Reload the page to get its newest version; if it happens again, tell us the code.',
  },
  buildFailed: {
    number: 3,
    status: 500,
    title: 'The pages could not be built',
    help: 'Run `npm ci`, then `npm run build -w web`, and read what it prints.',
  },
})
