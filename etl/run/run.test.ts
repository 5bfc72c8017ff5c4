import { execFileSync } from 'node:child_process'
import { TendonError } from '@tendon/platform/errors.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Story, startEtlWorld } from '../fixtures/etl-world.fixture.ts'
import { keepInvalidations } from '../invalidate/invalidations.ts'
import { listRuns } from './run-records.ts'

const world = await startEtlWorld()
afterAll(() => world.stop())

const alice = '00000000-0000-4000-8000-00000000000a'
const bob = '00000000-0000-4000-8000-00000000000b'
let story: Story

beforeEach(async () => {
  story = await world.freshStory()
})
afterEach(() => story.end())

const at = (text: string) => new Date(text)
/** A clock that is ahead, so that what is new is known by its place in commit order alone. */
const now = () => new Date(Date.now() + 3_600_000)

/** Alice has the chip until the tenth, Bob from the tenth on. */
async function handOver() {
  const hers = await story.issue({
    chip_id: 'c1',
    customer_id: alice,
    issued_at: '2026-01-01',
    returned_at: '2026-01-10',
  })
  const his = await story.issue({ chip_id: 'c1', customer_id: bob, issued_at: '2026-01-10' })
  return { hers, his }
}

describe('whose numbers', () => {
  test('a day belongs to who had the prosthesis on it, whenever its telemetry arrives', async () => {
    await handOver()
    await story.send([
      {
        chip_id: 'c1',
        recorded_at: at('2026-01-09T23:59:59.999Z'),
        response_time_ms: 100.1,
        battery_percent: 40,
      },
      { chip_id: 'c1', recorded_at: at('2026-01-10T00:00:00Z'), error_code: 'E1', active_ms: 61_000 },
    ])
    const etl = story.createEtl()
    await etl.runOnce()
    expect(await story.stats()).toEqual(await story.expectedStats())
    expect([...(await story.stats()).values()].map((row) => [row.user_id, row.day])).toEqual([
      [alice, '2026-01-09'],
      [bob, '2026-01-10'],
    ])

    story.invalidated.length = 0
    await story.send([{ chip_id: 'c1', recorded_at: at('2026-01-09T12:00:00Z'), movement_count: 5 }])
    expect(await etl.runOnce()).toMatchObject({ rows_written: 1, rows_deleted: 0 })
    expect(await story.stats()).toEqual(await story.expectedStats())
    expect(story.invalidated).toEqual([alice])
  })

  test('a change of ownership moves the days it concerns, and invalidates both', async () => {
    const { hers, his } = await handOver()
    await story.send(
      Array.from({ length: 14 }, (_, day) => ({
        chip_id: 'c1',
        recorded_at: at(`2026-01-${String(day + 1).padStart(2, '0')}T10:00:00Z`),
      })),
    )
    const etl = story.createEtl()
    await etl.runOnce()
    story.invalidated.length = 0

    await story.change(hers.id, { returned_at: '2026-01-08' })
    await story.change(his.id, { issued_at: '2026-01-08' })
    expect(await etl.runOnce()).toMatchObject({ rows_written: 2, rows_deleted: 2 })
    expect(await story.stats()).toEqual(await story.expectedStats())
    expect(story.invalidated.toSorted()).toEqual([alice, bob])

    story.invalidated.length = 0
    await story.remove(his.id)
    expect(await etl.runOnce()).toMatchObject({ rows_written: 0, rows_deleted: 7, unknown_chips: ['c1'] })
    expect(await story.stats()).toEqual(await story.expectedStats())
    expect(story.invalidated).toEqual([bob])
  })

  test('a change of anything but ownership measures nothing again', async () => {
    const { his } = await handOver()
    await story.send([{ chip_id: 'c1', recorded_at: at('2026-01-12T10:00:00Z') }])
    const etl = story.createEtl({ now })
    await etl.runOnce()
    await story.change(his.id, { firmware_version: '1.0.1' })
    expect(await etl.runOnce()).toMatchObject({ pairs: 0, rows_in: 0 })
    await story.change(his.id, { model_id: 2 })
    expect(await etl.runOnce()).toMatchObject({ pairs: 1, rows_written: 1 })
  })

  test('a prosthesis that got another chip takes its numbers from there, and loses those of the former one', async () => {
    const { id } = await story.issue({ chip_id: 'former', customer_id: alice, issued_at: '2026-01-01' })
    await story.send([{ chip_id: 'former', recorded_at: at('2026-01-02T10:00:00Z') }])
    const etl = story.createEtl({ now })
    await etl.runOnce()
    await story.change(id, { chip_id: 'latter' })
    expect(await etl.runOnce()).toMatchObject({ rows_deleted: 1, unknown_chips: ['former'] })
  })

  test('telemetry without an owner is listed, and loaded once it has one', async () => {
    await story.issue({ chip_id: 'c1', customer_id: alice, issued_at: '2026-02-01' })
    await story.send([
      { chip_id: 'c1', recorded_at: at('2026-01-31T10:00:00Z') },
      { chip_id: 'stray', recorded_at: at('2026-02-02T10:00:00Z') },
    ])
    // A clock gone wrong has no day that a row could stand for, and must not stop the others.
    await story.client.query(
      "INSERT INTO telemetry_events (chip_id, signal, recorded_at) VALUES ('c1', 'status', 'infinity'), ('c1', 'status', '1969-12-31 23:59Z')",
    )
    const etl = story.createEtl()
    expect(await etl.runOnce()).toMatchObject({ pairs: 2, rows_written: 0, unknown_chips: ['c1', 'stray'] })

    await story.issue({ chip_id: 'stray', customer_id: bob, issued_at: '2026-01-01' })
    expect(await etl.runOnce()).toMatchObject({ rows_written: 1 })
    expect(story.invalidated).toEqual([bob])
  })

  test('rows whose numbers are not finite are put into quarantine', async () => {
    await story.issue({ chip_id: 'c1', customer_id: alice, issued_at: '2026-01-01' })
    await story.client.query(
      `INSERT INTO telemetry_events (chip_id, signal, recorded_at, response_time_ms)
       SELECT 'c1', 'status', '2026-01-02 10:00Z', value FROM unnest('{NaN,Infinity,80}'::real[]) AS value`,
    )
    await story.createEtl().runOnce()
    expect([...(await story.stats()).values()]).toMatchObject([{ events: 1, response_time_p95_ms: 80 }])
    expect(await story.stats()).toEqual(await story.expectedStats())
  })
})

describe('one run at a time', () => {
  test('a run that finds another going is skipped', async () => {
    await story.issue({ chip_id: 'c1', customer_id: alice, issued_at: '2026-01-01' })
    await story.send([{ chip_id: 'c1', recorded_at: at('2026-01-02T10:00:00Z') }])
    const delivering = Promise.withResolvers<void>()
    const release = Promise.withResolvers<void>()
    const slow = story.createEtl({
      invalidate: () => {
        delivering.resolve()
        return release.promise
      },
    })
    const first = slow.runOnce()
    await delivering.promise
    expect(await story.createEtl().runOnce()).toEqual({ state: 'skipped' })
    release.resolve()
    expect(await first).toMatchObject({ state: 'succeeded', run_seq: 1 })
    expect(await story.createEtl().runOnce()).toMatchObject({ state: 'succeeded', run_seq: 2 })
  })

  test('a run that loses its lock fails, whatever it has done', async () => {
    await story.issue({ chip_id: 'c1', customer_id: alice, issued_at: '2026-01-01' })
    await story.send([{ chip_id: 'c1', recorded_at: at('2026-01-02T10:00:00Z') }])
    const cut = story.createEtl({
      invalidate: async () => {
        await story.client.query(
          "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'tendon-etl' AND datname = current_database()",
        )
      },
    })
    await expect(cut.runOnce()).rejects.toMatchObject({ code: 'TENDON-ETL-001' })
    expect(await listRuns(world.warehouse, 1)).toMatchObject([{ state: 'failed' }])
    // As if its insert had been cut off between the table and the copy by day, which is what rows are compared with.
    await world.warehouse.command(
      'ALTER TABLE reports.user_prosthesis_stats DELETE WHERE true SETTINGS mutations_sync = 2',
    )
    expect(await story.createEtl().runOnce()).toMatchObject({ watermark_from: '0', rows_written: 0 })
    expect(await story.stats()).toEqual(await story.expectedStats())
  })

  test('a run that has lost its lock, and was not told yet, does not say that it succeeded', async () => {
    await story.issue({ chip_id: 'c1', customer_id: alice, issued_at: '2026-01-01' })
    await story.send([{ chip_id: 'c1', recorded_at: at('2026-01-02T10:00:00Z') }])
    const cut = `
      const pg = require('pg'), client = new pg.Client({ connectionString: ${JSON.stringify(story.telemetryUrl)} })
      client.connect().then(() => client.query("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'tendon-etl' AND datname = current_database()"))
        .then(() => client.end())`
    const warehouse: Warehouse = {
      ...world.warehouse,
      async insertRows(table, rows) {
        await world.warehouse.insertRows(table, rows)
        // The last that it writes before its own success. Meanwhile nothing that comes from the server is heard.
        if (rows[0]!.delivered === 1)
          execFileSync(process.execPath, ['-e', cut], { cwd: import.meta.dirname })
      },
    }
    await expect(story.createEtl({ warehouse }).runOnce()).rejects.toMatchObject({ code: 'TENDON-ETL-001' })
    expect(await listRuns(world.warehouse, 1)).toMatchObject([{ state: 'failed' }])
  })

  test('a run that takes too long is ended, and one that cannot end itself is ended by the next', async () => {
    await story.issue({ chip_id: 'c1', customer_id: alice, issued_at: '2026-01-01' })
    await story.send([{ chip_id: 'c1', recorded_at: at('2026-01-02T10:00:00Z') }])
    const blocker = await story.connect()
    await blocker.query('BEGIN; LOCK TABLE telemetry_events IN ACCESS EXCLUSIVE MODE')
    const slow = story.createEtl({ config: { runTimeoutMinutes: 0.02 } })
    await expect(slow.runOnce()).rejects.toMatchObject({ code: 'TENDON-ETL-001' })
    expect(await listRuns(world.warehouse, 1)).toMatchObject([
      { state: 'failed', error: expect.stringContaining('TENDON-ETL-009') },
    ])
    await blocker.query('ROLLBACK')

    // As a machine that is suspended: it holds the lock, and does nothing.
    const asleep = await story.connect()
    await asleep.query("SELECT pg_advisory_lock(hashtextextended('tendon.etl.run', 0))")
    const ended = new Promise((resolve) => asleep.on('error', resolve))
    expect(await story.createEtl().runOnce()).toEqual({ state: 'skipped' })
    let isEnded = false
    void ended.then(() => {
      isEnded = true
    })
    // Its own time is as short: on a slow machine it ends the other, and then itself.
    const next = story.createEtl({ config: { runTimeoutMinutes: 0.02 } })
    while (!isEnded) await next.runOnce().catch(() => {})
    expect(await ended).toBeInstanceOf(Error)
    expect(await story.createEtl().runOnce()).toMatchObject({ state: 'succeeded' })
    expect(await story.stats()).toEqual(await story.expectedStats())
    await blocker.end()
  })

  test('a run that cannot begin leaves a record, and never in the place of another', async () => {
    const [telemetryAway, bookAway] = [
      story.createEtl({ telemetry: 'postgresql://postgres@127.0.0.1:1/telemetry' }),
      story.createEtl({
        warehouse: {
          ...world.warehouse,
          query: (query, params) =>
            query.name === 'etl-runs-before'
              ? Promise.reject(new Error('the connection was reset'))
              : world.warehouse.query(query, params),
        },
      }),
    ]
    await story.createEtl().runOnce()
    await expect(telemetryAway.runOnce()).rejects.toMatchObject({ code: 'TENDON-ETL-002' })
    await expect(bookAway.runOnce()).rejects.toMatchObject({ code: 'TENDON-ETL-001' })
    const runs = await listRuns(world.warehouse, 9)
    expect(runs).toMatchObject([
      { run_seq: 3, state: 'failed', finished_at: expect.any(String), error: 'the connection was reset' },
      { run_seq: 2, state: 'failed', error: expect.stringContaining('TENDON-ETL-002') },
      { run_seq: 1, state: 'succeeded' },
    ])
    // As when another run has taken the number in the meantime.
    await world.warehouse.insertRows('reports.etl_runs', [{ ...runs[0], state: 'running', _version: 1 }])
    expect(await listRuns(world.warehouse, 1)).toMatchObject([{ run_seq: 3, state: 'running' }])
  })

  test('stop ends a run after the step it is in', async () => {
    await story.issue({ chip_id: 'c1', customer_id: alice, issued_at: '2026-01-01' })
    await story.send([{ chip_id: 'c1', recorded_at: at('2026-01-02T10:00:00Z') }])
    const delivering = Promise.withResolvers<void>()
    const etl = story.createEtl({
      invalidate: (_, signal) =>
        new Promise((_, reject) => {
          signal?.addEventListener('abort', () => reject(signal.reason))
          delivering.resolve()
        }),
    })
    const run = etl.runOnce().catch((error: unknown) => error)
    await delivering.promise
    await etl.stop()
    expect(await run).toBeInstanceOf(TendonError)
    expect(await listRuns(world.warehouse, 1)).toMatchObject([
      { state: 'failed', error: expect.stringContaining('TENDON-ETL-005') },
    ])
    await story.createEtl().runOnce()
    expect(story.invalidated).toEqual([alice])
  })
})

describe('no row is lost', () => {
  test('of a transaction that was open for long, where a timestamp would lose it', async () => {
    await story.issue({ chip_id: 'slow', customer_id: alice, issued_at: '2026-01-01' })
    await story.issue({ chip_id: 'fast', customer_id: bob, issued_at: '2026-01-01' })
    const slow = await story.connect()
    await slow.query('BEGIN')
    await story.send([{ chip_id: 'slow', recorded_at: at('2026-01-02T10:00:00Z') }], slow)
    await story.send([{ chip_id: 'fast', recorded_at: at('2026-01-02T10:00:00Z') }])

    const etl = story.createEtl({ now })
    const first = await etl.runOnce()
    const newest = await story.client.query('SELECT max(ingested_at)::text AS seen FROM telemetry_events')
    await slow.query('COMMIT')
    await slow.end()
    const late = await story.client.query('SELECT FROM telemetry_events WHERE ingested_at > $1', [
      newest.rows[0].seen,
    ])
    expect(late.rowCount).toBe(0)

    expect(await etl.runOnce()).toMatchObject({
      watermark_from: 'watermark_to' in first && first.watermark_to,
      rows_written: 1,
    })
    expect(await story.stats()).toEqual(await story.expectedStats())
    expect(story.invalidated).toEqual([bob, alice])
  })

  test('while reports-service is away, the users to invalidate are kept for the next run', async () => {
    await story.issue({ chip_id: 'c1', customer_id: alice, issued_at: '2026-01-01' })
    await story.send([{ chip_id: 'c1', recorded_at: at('2026-01-02T10:00:00Z') }])
    const away = story.createEtl({ invalidate: () => Promise.reject(new Error('away')) })
    expect(await away.runOnce()).toMatchObject({ state: 'succeeded', users_invalidated: 0 })
    expect(story.invalidated).toEqual([])
    // They do not wait for a run that succeeds.
    await world.warehouse.command('RENAME TABLE crm.prostheses TO crm.away')
    await expect(story.createEtl().runOnce()).rejects.toMatchObject({ code: 'TENDON-ETL-001' })
    await world.warehouse.command('RENAME TABLE crm.away TO crm.prostheses')
    expect(story.invalidated).toEqual([alice])
    expect(await listRuns(world.warehouse, 1)).toMatchObject([{ state: 'failed', users_invalidated: 1 }])
    await story.createEtl().runOnce()
    expect(story.invalidated).toEqual([alice])
  })

  test('a run that dies when it has loaded numbers has kept before whose they are', async () => {
    await story.issue({ chip_id: 'c1', customer_id: alice, issued_at: '2026-01-01' })
    await story.send([{ chip_id: 'c1', recorded_at: at('2026-01-02T10:00:00Z') }])
    let isDead = false
    const gone = () => Promise.reject(new Error('dead'))
    const dying: Warehouse = {
      ...world.warehouse,
      query: (query, params) => (isDead ? gone() : world.warehouse.query(query, params)),
      insertRows: (table, rows) => (isDead ? gone() : world.warehouse.insertRows(table, rows)),
      async insertLines(...lines) {
        await world.warehouse.insertLines(...lines)
        isDead = true
        await gone()
      },
    }
    await expect(story.createEtl({ warehouse: dying }).runOnce()).rejects.toThrow('dead')
    expect((await story.stats()).size).toBe(1)
    expect(story.invalidated).toEqual([])
    expect(await story.createEtl().runOnce()).toMatchObject({ rows_written: 0, users_changed: 0 })
    expect(story.invalidated).toEqual([alice])
  })

  test('lists that are kept are delivered in the order of the runs that made them', async () => {
    const away = story.createEtl({ invalidate: () => Promise.reject(new Error('away')) })
    // Neither their order by id, nor by when they changed last.
    const carol = '00000000-0000-4000-8000-00000000000c'
    for (const [n, user] of [bob, carol, alice, bob].entries()) {
      await story.issue({ chip_id: `c${n}`, customer_id: user, issued_at: '2026-01-01' })
      await story.send([{ chip_id: `c${n}`, recorded_at: at('2026-01-02T10:00:00Z') }])
      await away.runOnce()
    }
    const calls: string[][] = []
    await story.createEtl({ invalidate: async (userIds) => void calls.push(userIds) }).runOnce()
    expect(calls).toEqual([[bob, carol, alice]])
  })

  test('when reports-service is back in the middle of a run, those of earlier runs are told first', async () => {
    let isAway = true
    const calls: string[][] = []
    const etl = story.createEtl({
      invalidate: async (userIds) => {
        if (isAway) throw new Error('away')
        calls.push(userIds)
      },
      warehouse: {
        ...world.warehouse,
        async insertLines(...lines) {
          await world.warehouse.insertLines(...lines)
          isAway = (await listRuns(world.warehouse, 1))[0]!.run_seq === 1
        },
      },
    })
    for (const [n, user] of [bob, alice].entries()) {
      await story.issue({ chip_id: `c${n}`, customer_id: user, issued_at: '2026-01-01' })
      await story.send([{ chip_id: `c${n}`, recorded_at: at('2026-01-02T10:00:00Z') }])
      await etl.runOnce()
    }
    expect(calls).toEqual([[bob, alice]])
  })

  test('of a list that was delivered in part, the rest follows', async () => {
    const users = Array.from(
      { length: 10_001 },
      (_, n) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
    )
    await keepInvalidations(world.warehouse, 1, users.slice(1))
    await keepInvalidations(world.warehouse, 0, users.slice(0, 1))
    const calls: string[][] = []
    const breaking = story.createEtl({
      invalidate: async (userIds) => {
        if (calls.length === 1) throw new Error('away')
        calls.push(userIds)
      },
    })
    expect(await breaking.runOnce()).toMatchObject({ users_invalidated: 10_000 })
    expect(calls).toEqual([users.slice(0, 10_000)])
    await story.createEtl().runOnce()
    expect(story.invalidated).toEqual(users.slice(10_000))
  })

  test('when the telemetry database was restored to an earlier state, all of it is measured again', async () => {
    await story.issue({ chip_id: 'c1', customer_id: alice, issued_at: '2026-01-01' })
    await story.createEtl().runOnce()
    const [last] = await listRuns(world.warehouse, 1)
    const ahead = String(BigInt(last!.watermark_to) + 1_000_000n)
    await world.warehouse.insertRows('reports.etl_runs', [{ ...last, watermark_to: ahead, _version: 9 }])
    await story.send([{ chip_id: 'c1', recorded_at: at('2026-01-02T10:00:00Z') }])
    expect(await story.createEtl().runOnce()).toMatchObject({ watermark_from: '0', rows_written: 1 })
  })
})
