import { execFile } from 'node:child_process'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest'
import { type Story, startEtlWorld } from '../fixtures/etl-world.fixture.ts'
import { listRuns } from '../run/run-records.ts'

const world = await startEtlWorld()
/** An identity provider and a reports-service in one: what the job asks of each. */
const others: Server = createServer((request, reply) => {
  const { port } = others.address() as AddressInfo
  const issuer = `http://127.0.0.1:${port}`
  reply.setHeader('content-type', 'application/json')
  if (request.url?.includes('.well-known')) {
    reply.end(JSON.stringify({ issuer, token_endpoint: `${issuer}/token` }))
  } else if (request.url === '/token') {
    reply.end(JSON.stringify({ access_token: 'token', token_type: 'Bearer', expires_in: 300 }))
  } else reply.end('{"invalidated":1}')
})
await new Promise<void>((resolve) => others.listen(0, '127.0.0.1', resolve))
afterAll(async () => {
  others.closeAllConnections()
  others.close()
  await world.stop()
})

const alice = '00000000-0000-4000-8000-00000000000a'
let story: Story

beforeEach(async () => {
  story = await world.freshStory()
  await story.live(alice, 'Europe/Vienna')
  await story.issue({ chip_id: 'c1', customer_id: alice, issued_at: '2026-01-01' })
  await story.send([
    { chip_id: 'c1', recorded_at: new Date('2026-01-02T10:00:00Z'), response_time_ms: 80 },
    { chip_id: 'c1', recorded_at: new Date('2026-01-02T10:00:00Z'), response_time_ms: 80 },
    { chip_id: 'c1', recorded_at: new Date('2026-01-02T23:30:00Z'), battery_percent: 50 },
  ])
})
afterEach(() => story.end())

type Answer = { code: number; stdout: string; stderr: string }

const etl = (...args: string[]) => etlWith({}, ...args)

async function etlWith(overrides: Record<string, string>, ...args: string[]): Promise<Answer> {
  const url = `http://127.0.0.1:${(others.address() as AddressInfo).port}`
  const env = {
    CLICKHOUSE_URL: world.clickHouse.url,
    CLICKHOUSE_USER: world.clickHouse.username,
    CLICKHOUSE_PASSWORD: world.clickHouse.password,
    TELEMETRY_DATABASE_URL: story.telemetryUrl,
    REPORTS_SERVICE_URL: url,
    OIDC_ISSUER: url,
    ETL_CLIENT_SECRET: 'secret',
    ...overrides,
  }
  const cli = new URL('../cli.ts', import.meta.url).pathname
  return promisify(execFile)(process.execPath, [cli, ...args], { env }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: Answer) => error,
  )
}

test('plan, run, runs, explain, quarantine and backfill answer for people and for programs', async () => {
  const planned = await etl('plan', '--json')
  expect(planned.stderr).toBe('')
  expect(JSON.parse(planned.stdout)).toMatchObject({
    mode: 'full',
    pairs: 2,
    rows_written: 2,
    rows_quarantined: 1,
    users: 1,
    sample: [
      { user_id: alice, day: '2026-01-02', change: 'new', after: { events: 1 } },
      { day: '2026-01-03', after: { battery_min_percent: 50 } },
    ],
  })
  expect((await story.stats()).size).toBe(0)

  await story.send([{ chip_id: 'stray', recorded_at: new Date('2026-01-02T10:00:00Z') }])
  const ran = await etl('run')
  expect(ran).toMatchObject({ code: 0 })
  expect(ran.stdout).toMatch(
    /^1 .*Z {2}succeeded in \d+\.\d s {2}3 days measured of 4 rows, 2 rows written, 0 deleted, 1 user changed/,
  )
  expect(await story.stats()).toEqual(await story.expectedStats())

  const [listed, explained, nobody, quarantined, unowned, unownedJson, again] = await Promise.all([
    etl('runs', '--json', '--limit', '1'),
    etl('explain', alice, '2026-01-02', '--json'),
    etl('explain', alice, '2025-12-31'),
    etl('quarantine', '--json', '--reason', 'duplicate'),
    etl('unowned'),
    etl('unowned', '--json'),
    etl('plan'),
  ])
  expect(JSON.parse(listed.stdout)).toEqual(await listRuns(world.warehouse, 1))
  expect(JSON.parse(explained.stdout)).toMatchObject([
    {
      chip_id: 'c1',
      time_zone: 'Europe/Vienna',
      from: '2026-01-01T23:00:00.000000Z',
      to: '2026-01-02T23:00:00.000000Z',
      standing: { events: 1, response_time_avg_ms: 80 },
      computed: { events: 1 },
      rows: [{ use: 'counted' }, { id: expect.stringMatching(/^\d+$/), use: 'duplicate' }],
    },
  ])
  expect(nobody).toMatchObject({ code: 4, stdout: 'no prosthesis on that day\n' })
  expect(JSON.parse(quarantined.stdout)).toMatchObject({
    counts: [{ reason: 'duplicate', rows: 1 }],
    rows: [{ chip_id: 'c1', row_id: expect.stringMatching(/^\d+$/), day: '2026-01-02', reason: 'duplicate' }],
  })
  const ofNobody = await etl('quarantine', '--json', '--chip', 'nope')
  expect(JSON.parse(ofNobody.stdout)).toEqual({ counts: [], rows: [] })
  expect(ofNobody.code).toBe(4)
  expect(unowned).toMatchObject({
    code: 0,
    stdout: 'stray  1 row  on 2026-01-02  the CRM does not know the chip\n',
  })
  expect(JSON.parse(unownedJson.stdout)).toMatchObject([
    { chip_id: 'stray', is_known: false, days: [{ day: '2026-01-02', rows: 1 }] },
  ])
  expect(again.stdout).toContain('0 rows to write, 0 to delete')

  await story.client.query('ALTER TABLE telemetry_events DISABLE TRIGGER USER')
  await story.client.query('DELETE FROM telemetry_events WHERE battery_percent = 50')
  const filled = await etl('backfill', '--from', '2026-01-01', '--to', '2026-01-31', '--json')
  expect(JSON.parse(filled.stdout)).toMatchObject({ days: 31, days_resumed: 0, rows_in: 3, rows_deleted: 1 })
  expect(await story.stats()).toEqual(await story.expectedStats())
}, 300_000)

test('a chip that nobody knows is said to be one, and one that is known is not', async () => {
  // Two at once, which is a problem of the data.
  for (const issued_at of ['2026-01-01', '2026-01-05'])
    await story.issue({ chip_id: 'silent', customer_id: alice, issued_at })
  const recorded_at = new Date('2026-01-02T10:00:00Z')
  await story.send([
    { chip_id: 'stray', recorded_at },
    { chip_id: 'strayer', recorded_at },
  ])
  const ran = await etl('run')
  expect(ran.stdout).toMatch(/ 2 chips without an owner\n {4}problem {2}overlapping_ownership {2}silent {2}/)
  const january = ['backfill', '--from', '2026-01-01', '--to', '2026-01-31', '--chips']
  const unmet = 'nothing is known of C1: no run has met it. Is it spelt right?\n'
  const [first, unowned, quarantined, owned, silent, some, none, asJson] = await Promise.all([
    etl('unowned', '--limit', '1'),
    etl('unowned', '--chip', 'C1'),
    etl('quarantine', '--chip', 'C1'),
    etl('unowned', '--chip', 'c1'),
    etl('quarantine', '--chip', 'silent'),
    etl(...january, 'C1,silent,stray'),
    etl(...january, 'C1'),
    etl(...january, 'C1,C2', '--json'),
  ])
  const more = 'there are more, none with more rows: see --limit\n'
  expect(first.stdout).toBe(`stray  1 row  on 2026-01-02  the CRM does not know the chip\n${more}`)
  expect(unowned).toMatchObject({ code: 4, stdout: unmet, stderr: '' })
  expect(quarantined).toMatchObject({ code: 4, stdout: unmet, stderr: '' })
  expect(owned).toMatchObject({ code: 0, stdout: 'all telemetry of c1 is somebody’s\n' })
  expect(silent).toMatchObject({ code: 0, stdout: 'in quarantine: nothing\n' })
  const nothing =
    'nothing is known of C1: the CRM does not have it, and it sent nothing on these days. Is it spelt right?\n'
  expect(some).toMatchObject({ code: 0, stdout: expect.stringMatching(/^31 days, .* changed\n/) })
  expect(some.stdout.split('changed\n')[1]).toBe(nothing)
  expect(none).toMatchObject({ code: 4, stdout: expect.stringContaining(nothing) })
  expect(asJson.code).toBe(4)
  expect(JSON.parse(asJson.stdout)).toMatchObject({ rows_in: 0, unmet_chips: ['C1', 'C2'] })
}, 300_000)

test('what is asked wrong is said', async () => {
  const [nothing, noChips, noChip, unknown, nobody, noUser, noDay, wrongDay, noDays, help, unset] =
    await Promise.all([
      etl(),
      etl('backfill', '--from', '2026-01-01', '--to', '2026-01-02', '--chips', ''),
      etl('backfill', '--from', '2026-01-01', '--to', '2026-01-02', '--chips', 'C1,'),
      etl('walk'),
      etl('explain'),
      etl('explain', 'alice', '2026-01-02'),
      etl('backfill', '--from', '2026-01-01'),
      etl('backfill', '--from', '2026-02-30', '--to', '2026-03-01'),
      etl('backfill', '--from', '2026-03-02', '--to', '2026-03-01'),
      etl('--help'),
      etl('backfill', '--help'),
    ])
  expect(nothing).toMatchObject({ code: 64, stderr: expect.stringContaining('no command; there are: run,') })
  expect(noChips).toMatchObject({ code: 64, stderr: expect.stringContaining('--chips needs a value') })
  expect(noChip).toMatchObject({ code: 64, stderr: expect.stringContaining('a name is missing between') })
  expect(unknown).toMatchObject({ code: 64, stderr: expect.stringContaining('unknown command "walk"') })
  expect(noUser).toMatchObject({ code: 64, stderr: expect.stringContaining('not a UUID') })
  expect(nobody.stderr).toContain('it takes <user> <day>, and got none')
  expect(nobody.code).toBe(64)
  expect(noDay).toMatchObject({
    code: 64,
    stderr: expect.stringContaining('--to, ETL_BACKFILL_TO is not set'),
  })
  expect(wrongDay).toMatchObject({ code: 64, stderr: expect.stringContaining('ETL_BACKFILL_FROM') })
  expect(noDays).toMatchObject({ code: 64, stderr: expect.stringContaining('lies before') })
  expect(help.stdout).toContain('Exit codes: 0 done, 1 failed, 3 not done, ')
  expect(unset.stdout).toContain('--parallel')
})

test('a command asks for the options that it uses, and for no others', async () => {
  const tellsNobody = { REPORTS_SERVICE_URL: '', OIDC_ISSUER: '', ETL_CLIENT_SECRET: '' }
  // An average without an end.
  await story.send(
    [80, 81].map((ms, hour) => ({
      chip_id: 'c1',
      recorded_at: new Date(`2026-01-02T1${hour + 1}:00:00Z`),
      response_time_ms: ms,
    })),
  )
  const [planned, explained, planHelp, explainHelp, runHelp] = await Promise.all([
    etlWith(tellsNobody, 'plan'),
    etlWith(tellsNobody, 'explain', alice, '2026-01-02'),
    ...['plan', 'explain', 'run'].map((name) => etl(name, '--help')),
  ])
  expect(planned).toMatchObject({ code: 0, stdout: expect.stringMatching(/^full/) })
  expect(planned.stdout).toContain('response_time_avg_ms 80.3333,')
  expect(explained).toMatchObject({ code: 0, stdout: expect.stringContaining('chip c1') })
  const [ofSchedule, ofTelling] = [/ETL_SCHEDULE|ETL_FIRST_RUN/, /REPORTS_|OIDC_|ETL_CLIENT|ETL_RUN_TIMEOUT/]
  const ofMeasuring = /ETL_PARALLEL|ETL_TIMESTAMP_LAG/
  expect(runHelp?.stdout).not.toMatch(ofSchedule)
  expect(runHelp?.stdout).toMatch(ofTelling)
  expect(planHelp?.stdout).not.toMatch(new RegExp(`${ofSchedule.source}|${ofTelling.source}`))
  expect(planHelp?.stdout).toMatch(ofMeasuring)
  expect(explainHelp?.stdout).not.toMatch(ofMeasuring)
  expect(explainHelp?.stdout).toContain('ETL_WORK_MEM')
})

test('what fails, and what another run keeps from being done, ends with a code of its own', async () => {
  const unreached = { TELEMETRY_DATABASE_URL: 'postgresql://postgres@127.0.0.1:1/telemetry' }
  const away = await etlWith(unreached, 'run')
  expect(away).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('TENDON-ETL-002') })

  // Where the CRM is read is an option.
  const fromCrm = { ETL_CRM_SOURCE: 'postgres' }
  const [unset, awayAsJson, crmAway] = await Promise.all([
    etlWith(fromCrm, 'plan'),
    etlWith(unreached, 'plan', '--json'),
    etlWith({ ...fromCrm, CRM_DATABASE_URL: 'postgresql://postgres@127.0.0.1:1/crm' }, 'plan'),
  ])
  expect(unset).toMatchObject({ code: 64, stderr: expect.stringContaining('CRM_DATABASE_URL is not set') })
  expect(crmAway).toMatchObject({ code: 1, stderr: expect.stringContaining('TENDON-ETL-007') })
  expect(awayAsJson).toMatchObject({ code: 1, stdout: '' })
  expect(JSON.parse(awayAsJson.stderr.trim().split('\n').at(-1)!)).toMatchObject({
    error: { code: 'TENDON-ETL-002', message: expect.any(String), help: expect.any(String) },
  })

  const other = await story.connect()
  await other.query("SELECT pg_advisory_lock(hashtextextended('tendon.etl.run', 0))")
  const january = ['backfill', '--from', '2026-01-01', '--to', '2026-01-31']
  const [run, asJson] = await Promise.all([etl('run'), etl('run', '--json')])
  expect(run).toMatchObject({ code: 3, stdout: 'skipped: another run is going\n', stderr: '' })
  expect(asJson).toMatchObject({ code: 3, stdout: '{"state":"skipped"}\n', stderr: '' })
  // For which a run would wait.
  const backfill = await etlWith({ ETL_RUN_TIMEOUT_MINUTES: '0.4' }, ...january)
  expect(backfill).toMatchObject({ code: 3, stdout: '', stderr: expect.stringContaining('TENDON-ETL-010') })
  await other.end()
  expect(await etl(...january)).toMatchObject({ code: 0 })
}, 300_000)
