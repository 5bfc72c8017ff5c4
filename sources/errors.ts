import { defineErrors } from '@tendon/platform/errors.ts'

export const sourcesErrors = defineErrors('SOURCES', {
  platformUnsupported: {
    number: 1,
    status: 500,
    title: 'No embedded PostgreSQL for this platform',
    help: 'Run on Linux or macOS (x64 or arm64) after `npm ci`, or set the address of a PostgreSQL server of your own.',
  },
  userUnavailable: {
    number: 2,
    status: 500,
    title: 'No user to run PostgreSQL as',
    help: 'PostgreSQL refuses to run as root: start as the ordinary user who owns the data folder, or use a folder that every user may enter.',
  },
  initdbFailed: {
    number: 3,
    status: 500,
    title: 'The database cluster could not be created',
    help: 'Check that the folder can be written and that its disk has some 100 MB free; the detail has the reason of initdb.',
  },
  startFailed: {
    number: 4,
    status: 500,
    title: 'PostgreSQL did not start',
    help: 'Read the detail: it has the last lines of the log of PostgreSQL.',
  },
  folderInUse: {
    number: 5,
    status: 500,
    title: 'The data folder is in use',
    help: 'Stop the other process first, or choose another data folder.',
  },
  otherVersion: {
    number: 6,
    status: 500,
    title: 'The data folder is of another PostgreSQL',
    help: 'Start it with the Tendon that made it, take another folder by --data, or let go of what is in it by --reset.',
  },
})
