import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { goProgram } from '../install.ts'
import { answers, deployFile, type Part, portOf, runFolder } from '../part.ts'

const port = portOf(19_000)
const consolePort = portOf(19_001)
/** For loopback only: these servers hold nothing but test data. */
const credentials = { user: 'tendon', password: 'tendon-on-loopback' }
/** Of the CDN, which may read reports and nothing else. */
export const readOnly = { CDN_S3_ACCESS_KEY_ID: 'cdn-reader', CDN_S3_SECRET_ACCESS_KEY: 'read-on-loopback' }

const settings = deployFile('minio/minio.env')
const region = parseEnv(readFileSync(settings, 'utf8')).MINIO_SITE_REGION ?? ''

export const minio: Part = {
  name: 'minio',
  port,
  prepare: async () => ({
    // The newest version the module proxy has; the upstream repository is archived.
    program: await goProgram('minio', 'github.com/minio/minio', 'v0.0.0-20260212201848-7aac2a2c5b7c'),
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
      MINIO_CONFIG_ENV_FILE: settings,
    },
  }),
  ready: () => answers(`http://127.0.0.1:${port}/minio/health/ready`),
  async initialize() {
    const { user, password } = credentials
    execFileSync(deployFile('minio/initialize.sh'), {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: {
        ...process.env,
        ...readOnly,
        S3_REGION: region,
        MC: await goProgram('mc', 'github.com/minio/mc', 'v0.0.0-20250313080218-cf909e1063a9'),
        MC_CONFIG: join(runFolder, 'mc'),
        MC_HOST_store: `http://${user}:${password}@127.0.0.1:${port}`,
      },
    })
  },
  exports: () => ({
    S3_ENDPOINT: `http://127.0.0.1:${port}`,
    S3_REGION: region,
    S3_ACCESS_KEY_ID: credentials.user,
    S3_SECRET_ACCESS_KEY: credentials.password,
    ...readOnly,
  }),
}
