import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

/** All that it needs, and nothing that is wrong. Below a file no folder is made: it would not come further than its checks. */
const good = {
  PATH: process.env.PATH,
  CDN_RUN: '/dev/null/cdn',
  CDN_SIGNING_KEYS: `k1:${'x'.repeat(32)}`,
  S3_ENDPOINT: 'http://store.example.org:9000',
  CDN_S3_ACCESS_KEY_ID: 'cdn-reader',
  CDN_S3_SECRET_ACCESS_KEY: 'read-on-loopback',
}

const plainPath = 'an absolute path of letters, digits and ._/+~-'
const ownOrigin = 'http[s]://<host>[:<port>] in lower case, without a slash at the end'
const endpoint = 'http[s]://<host>[:<port>], without a path'

test.each([
  ['CDN_RUN', '', plainPath],
  ['CDN_RUN', 'relative/cdn', plainPath],
  ['CDN_RUN', '/var/cache/a&b', plainPath],
  ['CDN_LISTEN', '8090', '<address>:<port>'],
  ['CDN_LISTEN', '127.0.0.1:8090; root /', '<address>:<port>'],
  ['CDN_SIGNING_KEYS', 'k1:short', '<id>:<secret>[,<id>:<secret>]'],
  ['CDN_WEB_ORIGIN', 'https://reports.example.org/', ownOrigin],
  ['CDN_WEB_ORIGIN', 'https://reports.example.org/app', ownOrigin],
  ['CDN_WEB_ORIGIN', 'https://Reports.example.org', ownOrigin],
  ['CDN_WEB_ORIGIN', 'reports.example.org', ownOrigin],
  ['CDN_WEB_ORIGIN', '*', ownOrigin],
  ['CDN_WEB_ORIGIN', 'https://a.example\nhttps://b.example', ownOrigin],
  ['CDN_WEB_ORIGIN', 'https://reports.example.org:443', 'no port where it is the usual one'],
  ['CDN_ACCESS_LOG', '/var/log/a|b', plainPath],
  ['CDN_STORE_MAX_MB', '1G', 'a whole number from 1 on'],
  ['CDN_STORE_MAX_MB', '0', 'a whole number from 1 on'],
  ['CDN_SWEEP_INTERVAL_S', '1 && rm', 'a whole number from 1 on'],
  ['S3_ENDPOINT', '', endpoint],
  ['S3_ENDPOINT', 'https://store.example.org/tenant', endpoint],
  ['S3_ENDPOINT', 'http://store.example.org?x=1', endpoint],
  ['S3_ENDPOINT', 'store.example.org:9000', endpoint],
  ['S3_BUCKET', 'Tendon/x', "a bucket's name: 3 to 63 of lower-case letters, digits, dots and hyphens"],
  ['S3_REGION', 'eu central', 'letters, digits, _ and -'],
  ['S3_FORCE_PATH_STYLE', 'yes', 'true or false'],
  ['CDN_RESOLVER', '127.0.0.11 valid=1h', '<address>[:<port>]'],
  ['CDN_S3_ACCESS_KEY_ID', 'a/b', 'an access key id'],
  ['CDN_S3_SECRET_ACCESS_KEY', '', 'a secret access key'],
  ['NGINX_MODULES', 'modules', plainPath],
])('is not started with %s=%j', async (name, value, expected) => {
  expect(await mistakes({ [name]: value })).toEqual([`${name}: expected ${expected}`])
})

test.each([
  [{ CDN_TLS_CERTIFICATE: import.meta.filename }, [`CDN_TLS_KEY: expected ${plainPath}`]],
  [{ CDN_TLS_KEY: import.meta.filename }, [`CDN_TLS_CERTIFICATE: expected ${plainPath}`]],
  [
    { CDN_TLS_CERTIFICATE: '/no/certificate.pem', CDN_TLS_KEY: '/no/key.pem' },
    ['CDN_TLS_CERTIFICATE: /no/certificate.pem cannot be read', 'CDN_TLS_KEY: /no/key.pem cannot be read'],
  ],
  [{ CDN_SIGNING_KEYS_FILE: '/no/keys' }, ['CDN_SIGNING_KEYS_FILE: /no/keys cannot be read']],
  [
    { S3_ENDPOINT: 'https://store.example.org', CDN_S3_CA_FILE: '/no/ca.pem' },
    ['CDN_S3_CA_FILE: /no/ca.pem cannot be read'],
  ],
  [
    { CDN_SIGNING_KEYS: `${good.CDN_SIGNING_KEYS},${good.CDN_SIGNING_KEYS}` },
    ['CDN_SIGNING_KEYS: two keys have the same id'],
  ],
])('is not started with %o', async (env, expected) => {
  expect(await mistakes(env)).toEqual(expected)
})

test('says all that is wrong at once', async () => {
  const env = {
    CDN_WEB_ORIGIN: 'https://reports.example.org/',
    CDN_STORE_MAX_MB: 'much',
    S3_ENDPOINT: '',
    CDN_SIGNING_KEYS: '',
  }
  expect(await mistakes(env)).toEqual([
    'CDN_SIGNING_KEYS: expected <id>:<secret>[,<id>:<secret>]',
    `CDN_WEB_ORIGIN: expected ${ownOrigin}`,
    'CDN_STORE_MAX_MB: expected a whole number from 1 on',
    `S3_ENDPOINT: expected ${endpoint}`,
  ])
})

test.each([
  {},
  { CDN_WEB_ORIGIN: 'http://localhost:8080', CDN_LISTEN: '[::]:8090', CDN_ACCESS_LOG: '/dev/stdout' },
  { CDN_WEB_ORIGIN: 'https://reports.example.org', CDN_LISTEN: '*:8090', CDN_RESOLVER: '[::1]:5353' },
  { S3_ENDPOINT: 'http://[::1]:9000/', CDN_S3_SECRET_ACCESS_KEY: 'with "quotes", \\, & and |' },
])('has nothing against %o', async (env) => {
  await expect(start(env)).rejects.toMatchObject({ code: 1, stderr: expect.stringMatching(/^mkdir: .*\n$/) })
})

async function mistakes(env: Record<string, string>): Promise<string[]> {
  const { code, stderr } = await start(env).then(
    () => expect.fail('it started'),
    (error: { code: number; stderr: string }) => error,
  )
  expect(code).toBe(64)
  return stderr.trimEnd().split('\n')
}

function start(env: Record<string, string>) {
  return promisify(execFile)(join(import.meta.dirname, 'nginx/start.sh'), {
    timeout: 10_000,
    env: { ...good, ...env },
  })
}
