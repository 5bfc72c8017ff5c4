import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { processesOf, startProcess } from './tendon-process.ts'

let parent: string

beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), 'tendon-start-'))
})
afterAll(() => rm(parent, { recursive: true, force: true }))

test('everything wrong with the options is said at once, and nothing is started', async () => {
  const data = join(parent, 'never')
  const env = {
    TENDON_DATA: data,
    CLICKHOUSE_URL: 'nowhere',
    S3_ENDPOINT: 'http://127.0.0.1:9',
    ETL_SCHEDULE: 'nonsense',
  }
  const { code, stderr } = await startProcess({ env, flags: ['--colour'] }).outcome
  expect(code).toBe(64)
  for (const wrong of ['CLICKHOUSE_URL', 'S3_ACCESS_KEY_ID', 'ETL_SCHEDULE', '--colour']) {
    expect(stderr).toContain(wrong)
  }
  expect(stderr).not.toMatch(/^\s+at /m)
  expect(existsSync(data)).toBe(false)
})

test.each(['PORT', 'OPERATIONS_PORT'])(
  'a taken %s is said in a sentence, and nothing is left running',
  async (variable) => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const address = taken.address()
    const port = address !== null && typeof address === 'object' ? address.port : 0
    const data = join(parent, variable)
    const { code, stderr } = await startProcess({ env: { TENDON_DATA: data, [variable]: String(port) } })
      .outcome
    taken.close()
    expect(code).toBe(1)
    expect(stderr).toContain(`Port ${port}`)
    expect(stderr).toContain('TENDON-PLATFORM-004')
    expect(stderr).toContain(variable)
    expect(stderr).not.toMatch(/^\s+at /m)
    expect(await processesOf(data)).toEqual([])
  },
)

test('what is attached is asked first: all that cannot be used is said at once, without a password', async () => {
  const data = join(parent, 'attached')
  const env = {
    TENDON_DATA: data,
    // Nothing listens on these.
    CRM_DATABASE_URL: 'postgresql://crm:s3cret@127.0.0.1:1/crm?application_name=s3cret',
    TELEMETRY_DATABASE_URL: 'postgresql://telemetry:s3cret@127.0.0.1:2/telemetry',
    CLICKHOUSE_URL: 'http://127.0.0.1:3/',
    CLICKHOUSE_PASSWORD: 's3cret',
    REDIS_URL: 'redis://:s3cret@127.0.0.1:4',
    KAFKA_BROKERS: '127.0.0.1:6,127.0.0.1:7',
    KAFKA_CONNECT_URL: 'http://127.0.0.1:8/',
    S3_ENDPOINT: 'http://127.0.0.1:9',
    S3_ACCESS_KEY_ID: 's3cret',
    S3_SECRET_ACCESS_KEY: 's3cret',
    OIDC_ISSUER: 'http://127.0.0.1:5/realms/tendon',
    OIDC_BFF_SECRET: 's3cret',
    OIDC_CDC_SECRET: 's3cret',
    OIDC_ETL_SECRET: 's3cret',
  }
  const { code, stdout, stderr } = await startProcess({ env, flags: ['--demo-data'] }).outcome
  expect(code).toBe(1)
  expect(stderr).toContain('TENDON-EMBEDDED-007')
  for (const wrong of [
    'CRM_DATABASE_URL: postgresql://127.0.0.1:1/crm ',
    'TELEMETRY_DATABASE_URL: postgresql://127.0.0.1:2/telemetry ',
    'CLICKHOUSE_URL: http://127.0.0.1:3/ ',
    'REDIS_URL: 127.0.0.1:4 ',
    'KAFKA_BROKERS: 127.0.0.1:6,127.0.0.1:7 cannot be used: ',
    'KAFKA_CONNECT_URL: http://127.0.0.1:8/ ',
    'S3_ENDPOINT: http://127.0.0.1:9/ ',
    'OIDC_ISSUER: http://127.0.0.1:5/realms/tendon ',
  ]) {
    expect(stderr).toContain(wrong)
  }
  expect(stdout + stderr).not.toContain('s3cret')
  expect(stdout).not.toContain('PostgreSQL')
  expect(await processesOf(data)).toEqual([])
})

test('a CRM that is not there is named, and not taken for one without the demo data', async () => {
  const env = { TENDON_DATA: join(parent, 'crm'), CRM_DATABASE_URL: 'postgresql://127.0.0.1:1/crm' }
  const { code, stderr } = await startProcess({ env }).outcome
  expect([code, stderr]).toEqual([
    1,
    expect.stringContaining('CRM_DATABASE_URL: postgresql://127.0.0.1:1/crm'),
  ])
})

/** What it does to a report stands in for an edit of it, which the files that other tests read must not get. */
const brokenReport = `
  import { registerHooks } from 'node:module'
  registerHooks({
    load: (url, context, next) =>
      url.endsWith('/reports/fleet/report.ts')
        ? { format: 'module', source: 'export const report = {}', shortCircuit: true }
        : next(url, context),
  })`

test('a report that cannot be loaded is said before a database is there', async () => {
  const data = join(parent, 'report')
  const preload = `--import=data:text/javascript;base64,${Buffer.from(brokenReport).toString('base64')}`
  const env = { TENDON_DATA: data, NODE_OPTIONS: preload }
  const { code, stdout, stderr } = await startProcess({ env }).outcome
  expect([code, stderr]).toEqual([1, expect.stringMatching(/The report fleet .*TENDON-REPORTS-013/s)])
  expect(stdout).not.toContain('PostgreSQL')
})

test('a part that fails when the databases are up already takes them down with it', async () => {
  const data = join(parent, 'store')
  const tendon = startProcess({ env: { TENDON_DATA: data } })
  await tendon.said('- Schemas')
  // Where the folder of the report objects is made next.
  await writeFile(join(data, 'objects'), '')
  // The engine and two servers: that they are seen now is what makes the emptiness below mean something.
  const running = (await processesOf(data)).join('\n')
  expect(running).toContain('postgres')
  expect(running).toContain('chdb-server')
  const { code, stderr } = await tendon.outcome
  expect(code).toBe(1)
  expect(stderr).toContain('TENDON-PLATFORM-011')
  expect(await processesOf(data)).toEqual([])
})

test('a folder in use is refused at once; SIGINT stops the one that holds it within ten seconds', async () => {
  const data = join(parent, 'held')
  const first = startProcess({ env: { TENDON_DATA: data }, flags: ['--no-simulator'] })
  await first.said('ready ')

  const second = await startProcess({ env: { TENDON_DATA: data } }).outcome
  expect(second.code).toBe(1)
  expect(second.stderr).toContain('TENDON-EMBEDDED-001')

  const stoppedAt = performance.now()
  first.child.kill('SIGINT')
  // As npm passes on what a terminal has told already: not a second one. (Two of a kind might arrive as one.)
  first.child.kill('SIGTERM')
  const { code, stdout } = await first.outcome
  expect([code, stdout]).toEqual([0, expect.stringMatching(/\nStopping .*\nStopped\.$/)])
  expect(performance.now() - stoppedAt).toBeLessThan(10_000)
  expect(await processesOf(data)).toEqual([])
})

test.each([
  { step: 'PostgreSQL for CRM', afterMs: 0 },
  { step: 'PostgreSQL for CRM', afterMs: 600 },
  // While the demo data is loaded: some 600,000 rows take longer than this.
  { step: 'Schemas', afterMs: 500 },
  { step: 'Change feed', afterMs: 0 },
  { step: 'ETL run', afterMs: 0 },
])(
  'SIGINT $afterMs ms after the step $step of the first start ends it quietly',
  async ({ step, afterMs }) => {
    const data = await mkdtemp(join(parent, 'interrupted-'))
    const days = step === 'Schemas' ? '40' : '1'
    const tendon = startProcess({ env: { TENDON_DATA: data, TENDON_DEMO_DAYS: days } })
    await tendon.said(`- ${step}`)
    // The moment is the point of this test: no event marks the middle of a step.
    await delay(afterMs)
    const stoppedAt = performance.now()
    tendon.child.kill('SIGINT')
    const { code, stdout, stderr } = await tendon.outcome
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).not.toContain('ready ')
    expect(performance.now() - stoppedAt).toBeLessThan(10_000)
    expect(await processesOf(data)).toEqual([])
  },
)
