import type { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { startTestServer } from './test-server.fixture.ts'

const { client, createClient, createTable, request, rows } = await startTestServer()

/** A query that runs for minutes and is found by its number. */
const endless = (mark: number) =>
  `SELECT sum(sipHash64(number)) FROM numbers(${mark}) SETTINGS max_threads = 1`

async function runningQuery(mark: number): Promise<{ read_rows: number } | undefined> {
  const query = `SELECT read_rows FROM system.processes
    WHERE position(query, {mark:String}) > 0 AND query NOT LIKE '%system.processes%'`
  const [row] = await rows(query, { query_params: { mark: `numbers(${mark})` } })
  return row as { read_rows: number } | undefined
}

const isRunning = async (mark: number) => (await runningQuery(mark)) !== undefined

/** For what takes some milliseconds, but more on a busy machine. */
const eventually = { timeout: 20_000, interval: 20 }

describe('streaming', () => {
  test('500,000 rows arrive whole and in order', async () => {
    const result = await client.query({
      query: `SELECT number AS n, repeat('x', 100) AS s FROM numbers(500000)`,
      format: 'JSONEachRow',
    })
    let next = 0
    for await (const batch of result.stream<{ n: number }>()) {
      for (const row of batch) if (row.json().n === next) next++
    }
    expect(next).toBe(500_000)
  })

  test.each(['JSONEachRow', 'CSV', 'RowBinary', 'Native', 'ArrowStream'])(
    '%s comes before its query has ended, and a client that has enough ends the query',
    async (format) => {
      const mark = 99_000_000_000 + format.length
      const { stream } = await client.exec({ query: `SELECT number FROM numbers(${mark}) FORMAT ${format}` })
      await new Promise((resolve) => stream.once('data', resolve))
      expect(await isRunning(mark)).toBe(true)
      stream.destroy()
      await expect.poll(() => isRunning(mark), eventually).toBe(false)
    },
  )

  test('a slow reader holds the query back', async () => {
    const mark = 98_000_000_000
    const { stream } = await client.exec({ query: `SELECT number FROM numbers(${mark}) FORMAT JSONEachRow` })
    await new Promise((resolve) => stream.once('data', resolve))
    stream.pause()
    let before: number
    const hasStopped = async () => {
      const now = (await runningQuery(mark))?.read_rows
      const isSame = now === before
      before = now ?? 0
      return isSame
    }
    await expect.poll(hasStopped, { ...eventually, interval: 200 }).toBe(true)
    stream.destroy()
    await expect.poll(() => isRunning(mark), eventually).toBe(false)
  })

  test('progress rows', async () => {
    const result = await client.query({
      query: 'SELECT number FROM numbers(3)',
      format: 'JSONEachRowWithProgress',
    })
    const found: unknown[] = []
    for await (const batch of result.stream()) for (const row of batch) found.push(row.json())
    expect(found.filter((row) => Object.hasOwn(row as object, 'row'))).toHaveLength(3)
  })

  test('an error after the first rows reaches whoever reads', async () => {
    const result = await client.query({
      query: `SELECT number AS n, throwIf(number = 1500000, 'bang') FROM numbers(3000000)`,
      format: 'JSONEachRow',
    })
    const readAll = async () => {
      for await (const batch of result.stream()) if (batch.length === 0) break
    }
    await expect(readAll()).rejects.toMatchObject({
      code: '395',
      type: 'FUNCTION_THROW_IF_VALUE_IS_NON_ZERO',
    })
  })

  test('an error within what is held back is an HTTP status, and with wait_end_of_query every error is', async () => {
    const early = await request({ query: `SELECT throwIf(number = 2, 'bang') FROM numbers(3) FORMAT JSON` })
    expect([early.status, await early.text()]).toEqual([500, expect.stringMatching(/^Code: 395\. .*bang/)])
    const query = `SELECT number, throwIf(number = 1500000, 'bang') FROM numbers(3000000) FORMAT CSV`
    const late = await request({ query, wait_end_of_query: '1' })
    expect([late.status, await late.text()]).toEqual([500, expect.stringMatching(/^Code: 395\. .*bang/)])
  })
})

describe('abort', () => {
  test('rejects at once, stops the query in the engine, and holds nobody up', async () => {
    const mark = 97_000_000_000
    const abort = new AbortController()
    const query = rows(endless(mark), { abort_signal: abort.signal })
    await expect.poll(() => isRunning(mark), eventually).toBe(true)
    abort.abort()
    await expect(query).rejects.toThrow('aborted')
    const started = performance.now()
    expect(await rows('SELECT 1 AS a')).toEqual([{ a: 1 }])
    expect(performance.now() - started).toBeLessThan(5_000)
    await expect.poll(() => isRunning(mark), eventually).toBe(false)
  })

  test('of more queries than can run at once frees all their places', async () => {
    const mark = 96_000_000_000
    const abort = new AbortController()
    const manyConnections = createClient({ max_open_connections: 50 })
    const streams: Readable[] = []
    const query = `SELECT number FROM numbers(${mark}) FORMAT CSV`
    const queries = Array.from({ length: 40 }, async () => {
      const { stream } = await manyConnections.exec({ query, abort_signal: abort.signal })
      streams.push(stream)
    })
    await expect.poll(() => streams.length, eventually).toBe(16)
    const waiting = rows('SELECT 1 AS a')
    abort.abort()
    await Promise.allSettled(queries)
    // The client's signal ends only requests that have no answer yet.
    for (const stream of streams) stream.destroy()
    expect(await waiting).toEqual([{ a: 1 }])
    await expect.poll(() => isRunning(mark), eventually).toBe(false)
    expect(streams).toHaveLength(16)
  })

  test('does not stop what writes', async () => {
    const table = await createTable('a UInt32')
    const abort = new AbortController()
    const query = `INSERT INTO ${table} SELECT number FROM numbers(10) WHERE sleepEachRow(0.05) = 0`
    const insert = client.command({ query, abort_signal: abort.signal })
    const running = `SELECT 1 AS a FROM system.processes WHERE startsWith(query, 'INSERT INTO ${table}')`
    await expect.poll(() => rows(running), eventually).toEqual([{ a: 1 }])
    abort.abort()
    await expect(insert).rejects.toThrow()
    await expect.poll(() => rows(`SELECT count() AS n FROM ${table}`), eventually).toEqual([{ n: 10 }])
  })
})

describe('limits', () => {
  const heavy = 'SELECT uniqExact(number) AS u FROM numbers(3000000)'

  test.each([
    ['max_execution_time', '0.2', endless(95_000_000_000), '159'],
    ['max_memory_usage', '20000000', heavy, '241'],
    ['max_result_rows', '10', 'SELECT * FROM numbers(1000)', '396'],
  ])('%s is kept, by its own query only', async (name, value, query, code) => {
    await expect(rows(query, { clickhouse_settings: { [name]: value } })).rejects.toMatchObject({ code })
    expect(await rows(heavy)).toEqual([{ u: 3_000_000 }])
  })
})
