import { join } from 'node:path'
import { goProgram } from '../install.ts'
import { answers, type Part, portOf, runFolder } from '../part.ts'

const port = portOf(19_000)
const consolePort = portOf(19_001)
/** For loopback only: these servers hold nothing but test data. */
const credentials = { user: 'tendon', password: 'tendon-on-loopback' }

export const minio: Part = {
  name: 'minio',
  port,
  prepare: () => ({
    // The newest version the module proxy has; the upstream repository is archived.
    program: goProgram('minio', 'github.com/minio/minio', 'v0.0.0-20260212201848-7aac2a2c5b7c'),
    args: [
      'server',
      join(runFolder, 'minio'),
      '--address',
      `127.0.0.1:${port}`,
      '--console-address',
      `127.0.0.1:${consolePort}`,
    ],
    env: {
      MINIO_ROOT_USER: credentials.user,
      MINIO_ROOT_PASSWORD: credentials.password,
      MINIO_BROWSER: 'off',
      MINIO_UPDATE: 'off',
    },
  }),
  ready: () => answers(`http://127.0.0.1:${port}/minio/health/ready`),
  exports: () => ({
    S3_ENDPOINT: `http://127.0.0.1:${port}`,
    S3_ACCESS_KEY_ID: credentials.user,
    S3_SECRET_ACCESS_KEY: credentials.password,
  }),
}
