import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { tableFromArrays, tableFromIPC, tableToIPC } from 'apache-arrow'
import { describe, expect, test } from 'vitest'
import { startTestServer } from './test-server.fixture.ts'

const { client, createTable, dataPath, request, rows } = await startTestServer()

const nasty = `it's "q" \\ \t \n\n blank line \u0000 ünï 🎉; DROP TABLE x`

describe('inserts', () => {
  test('of an array of rows, and how many were written', async () => {
    const table = await createTable('a UInt32, b String')
    const values = [
      { a: 1, b: nasty },
      { a: 2, b: 'x' },
    ]
    const { executed, summary } = await client.insert({ table, values, format: 'JSONEachRow' })
    expect([executed, summary?.written_rows]).toEqual([true, '2'])
    expect(await rows(`SELECT * FROM ${table} ORDER BY a`)).toEqual(values)
  })

  test('of nothing', async () => {
    const table = await createTable('a UInt32')
    expect(await client.insert({ table, values: [], format: 'JSONEachRow' })).toMatchObject({
      executed: false,
    })
    const empty = Readable.from([], { objectMode: false })
    await client.insert({ table, values: empty, format: 'CSV' })
    expect(await rows(`SELECT count() AS rows FROM ${table}`)).toEqual([{ rows: 0 }])
  })

  test('of some columns, the others by default', async () => {
    const table = await createTable(`a UInt32, b String DEFAULT 'default'`)
    await client.insert({ table, values: [{ a: 1 }], format: 'JSONEachRow', columns: ['a'] })
    await client.insert({ table, values: [[2]], format: 'JSONCompactEachRow', columns: { except: ['b'] } })
    expect(await rows(`SELECT * FROM ${table} ORDER BY a`)).toEqual([
      { a: 1, b: 'default' },
      { a: 2, b: 'default' },
    ])
  })

  test('of names and types before the rows', async () => {
    const table = await createTable('a UInt32, b String')
    const values = [
      ['b', 'a'],
      ['String', 'UInt32'],
      ['x', 1],
    ]
    await client.insert({ table, values, format: 'JSONCompactEachRowWithNamesAndTypes' })
    expect(await rows(`SELECT * FROM ${table}`)).toEqual([{ a: 1, b: 'x' }])
  })

  test('of a stream of 300,000 rows', async () => {
    const table = await createTable('a UInt32, s String')
    const s = 'y'.repeat(200)
    const values = Readable.from(
      (function* () {
        for (let a = 0; a < 300_000; a++) yield { a, s }
      })(),
    )
    await client.insert({ table, values, format: 'JSONEachRow' })
    expect(await rows(`SELECT count() AS rows, sum(a) AS sum FROM ${table}`)).toEqual([
      { rows: 300_000, sum: 44_999_850_000 },
    ])
  })

  test('of CSV in chunks that split characters', async () => {
    const table = await createTable('a UInt32, b String')
    const bytes = [...Buffer.from('1,"héllo 🎉"\n2,"x"\n')].map((byte) => Buffer.from([byte]))
    await client.insert({ table, values: Readable.from(bytes, { objectMode: false }), format: 'CSV' })
    expect(await rows(`SELECT b FROM ${table} ORDER BY a`)).toEqual([{ b: 'héllo 🎉' }, { b: 'x' }])
  })

  test('whose source fails insert nothing, and leave no file behind', async () => {
    const table = await createTable('a UInt32')
    const values = Readable.from(
      (function* () {
        for (let a = 0; a < 10_000; a++) yield { a }
        throw new Error('the source failed')
      })(),
    )
    await expect(client.insert({ table, values, format: 'JSONEachRow' })).rejects.toThrow('the source failed')
    const spooled = async () =>
      (await readdir(join(dataPath, 'http-spool'))).filter((name) => !name.startsWith('result-'))
    await expect.poll(spooled, { timeout: 20_000 }).toEqual([])
    expect(await rows(`SELECT count() AS rows FROM ${table}`)).toEqual([{ rows: 0 }])
  })

  test('of a bad row insert nothing', async () => {
    const table = await createTable('a UInt32')
    const values = [{ a: 1 }, { a: 'not a number' }]
    await expect(client.insert({ table, values, format: 'JSONEachRow' })).rejects.toMatchObject({
      code: '27',
    })
    expect(await rows(`SELECT count() AS rows FROM ${table}`)).toEqual([{ rows: 0 }])
  })
})

describe('inserts as statements', () => {
  test.each([
    [`INSERT INTO %t VALUES (1, 'a'), (2, concat('b', {p:String}))`],
    [`INSERT INTO %t (a, b) SETTINGS max_threads = 1 VALUES\n\n(1, 'a'),\n\n(2, 'bc');`],
    [`INSERT INTO %t FORMAT JSONEachRow {"a": 1, "b": "a"}\n\n{"a": 2, "b": "bc"}`],
    [`INSERT INTO %t SETTINGS max_threads = 1 FORMAT CSV\n1,a\n2,bc`],
    [`insert into table %t select number + 1, ['a', 'bc'][number + 1] from numbers(2)`],
    [`/* VALUES */ INSERT INTO %t SELECT a + 1, b FROM input('a UInt32, b String') FORMAT CSV\n0,a\n1,bc`],
  ])('%s', async (statement) => {
    const table = await createTable('a UInt32, b String')
    await client.command({ query: statement.replace('%t', table), query_params: { p: 'c' } })
    expect(await rows(`SELECT * FROM ${table} ORDER BY a`)).toEqual([
      { a: 1, b: 'a' },
      { a: 2, b: 'bc' },
    ])
  })

  test('with the statement in the URL and the data in the body', async () => {
    const table = await createTable('a UInt32')
    const insert = async (query: string, data: string) => {
      const { stream } = await client.exec({ query, values: Readable.from([data], { objectMode: false }) })
      stream.resume()
    }
    await insert(`INSERT INTO ${table} SETTINGS max_threads = 1 FORMAT JSONEachRow`, '{"a":1}\n\n{"a":2}\n')
    await insert(`INSERT INTO ${table} SELECT x * 2 FROM input('x UInt32') FORMAT CSV`, '1\n2\n')
    await insert(`INSERT INTO ${table} VALUES`, '(5), (6)')
    expect(await rows(`SELECT sum(a) AS sum FROM ${table}`)).toEqual([{ sum: 1 + 2 + 2 + 4 + 5 + 6 }])
  })
})

describe('binary formats', () => {
  const arrowTable = tableFromArrays({
    a: Uint32Array.from({ length: 1000 }, (_, index) => index),
    f: Float64Array.from({ length: 1000 }, (_, index) => index * 1.5 + 0.1),
  })

  async function insertBytes(table: string, format: string, bytes: Uint8Array): Promise<void> {
    const values = Readable.from([Buffer.from(bytes)], { objectMode: false })
    const { stream } = await client.exec({ query: `INSERT INTO ${table} FORMAT ${format}`, values })
    stream.resume()
  }

  test('ArrowStream in and out', async () => {
    const table = await createTable('a UInt32, f Float64')
    await insertBytes(table, 'ArrowStream', tableToIPC(arrowTable, 'stream'))
    const query = `SELECT * FROM ${table} ORDER BY a FORMAT ArrowStream`
    const { stream } = await client.exec({
      query,
      clickhouse_settings: { output_format_arrow_compression_method: 'none' },
    })
    expect(
      tableFromIPC(await buffer(stream))
        .toArray()
        .map(String),
    ).toEqual(arrowTable.toArray().map(String))
  })

  test.each(['Native', 'Parquet', 'RowBinary', 'Arrow', 'ORC', 'Avro'])(
    '%s out and back in',
    async (format) => {
      const table = await createTable('a UInt32, f Float64, s String')
      const query = `SELECT toUInt32(number) AS a, number * 1.5 AS f, concat('\\n\\n;', toString(number)) AS s FROM numbers(100000) FORMAT ${format}`
      const { stream } = await client.exec({ query })
      await insertBytes(table, format, await buffer(stream))
      expect(
        await rows(`SELECT count() AS rows, sum(a) AS a, sum(f) AS f, uniqExact(s) AS s FROM ${table}`),
      ).toEqual([{ rows: 100_000, a: 4_999_950_000, f: 7_499_925_000, s: 100_000 }])
    },
  )

  test('a body of statement and binary data', async () => {
    const table = await createTable('a UInt32')
    const body = Buffer.concat([
      Buffer.from(`INSERT INTO ${table} FORMAT RowBinary\n`),
      Buffer.from([10, 10, 0, 255]),
    ])
    const response = await request('', { method: 'POST', body })
    expect([response.status, await response.text()]).toEqual([200, ''])
    expect(await rows(`SELECT a FROM ${table}`)).toEqual([{ a: 0xff000a0a }])
  })

  test('text out through exec', async () => {
    const { stream } = await client.exec({ query: 'SELECT 1, 2 FORMAT CSV' })
    expect(await text(stream)).toBe('1,2\n')
  })
})

describe('deduplication', () => {
  const window = 'SETTINGS non_replicated_deduplication_window = 100'

  test('by token, which the next insert does not inherit', async () => {
    const table = await createTable('a UInt32', window)
    const insert = (a: number, token?: string) =>
      client.insert({
        table,
        values: [{ a }],
        format: 'JSONEachRow',
        ...(token && { clickhouse_settings: { insert_deduplication_token: token } }),
      })
    for (const a of [1, 2, 3]) await insert(a, 'first')
    await insert(4, 'second')
    for (const a of [5, 6]) await insert(a)
    expect(await rows(`SELECT groupArray(a) AS a FROM (SELECT a FROM ${table} ORDER BY a)`)).toEqual([
      { a: [1, 4, 5, 6] },
    ])
  })

  test('reaches through a materialized view', async () => {
    const target = await createTable('a UInt32', window)
    const table = await createTable('a UInt32', window)
    await client.command({
      query: `CREATE MATERIALIZED VIEW ${table}_view TO ${target} AS SELECT a * 2 AS a FROM ${table}`,
    })
    const settings = {
      insert_deduplication_token: 'once',
      deduplicate_blocks_in_dependent_materialized_views: 1,
    } as const
    for (let time = 0; time < 2; time++) {
      await client.insert({ table, values: [{ a: 1 }], format: 'JSONEachRow', clickhouse_settings: settings })
    }
    expect(
      await rows(`SELECT (SELECT count() FROM ${table}) AS t, (SELECT count() FROM ${target}) AS v`),
    ).toEqual([{ t: 1, v: 1 }])
  })
})

test('an insert returns when its rows are visible through every materialized view', async () => {
  const table = await createTable('a UInt32, s String')
  const targets = await Promise.all(Array.from({ length: 5 }, () => createTable('a UInt32, s String')))
  for (const [index, target] of targets.entries()) {
    await client.command({
      query: `CREATE MATERIALIZED VIEW ${target}_view TO ${target} AS SELECT a, s FROM ${table} WHERE a % 5 = ${index}`,
    })
  }
  const counts = `SELECT ${targets.map((target) => `(SELECT count() FROM ${target})`).join(' + ')} AS rows`
  for (let batch = 1; batch <= 20; batch++) {
    const values = Array.from({ length: 1000 }, (_, a) => ({ a, s: 'x'.repeat(100) }))
    await client.insert({ table, values, format: 'JSONEachRow' })
    expect(await rows(counts)).toEqual([{ rows: batch * 1000 }])
  }
})

test('ReplacingMergeTree keeps the row of the highest UInt128 version, and FINAL leaves deleted ones out', async () => {
  await client.command({
    query: `CREATE TABLE replaced (id UInt32, v String, ver UInt128, is_deleted UInt8)
      ENGINE = ReplacingMergeTree(ver, is_deleted) ORDER BY id`,
  })
  const high = (lsn: bigint, index: bigint) => String((lsn << 64n) | index)
  const values = [
    { id: 1, v: 'new', ver: high(2n, 0n), is_deleted: 0 },
    { id: 1, v: 'old', ver: high(1n, 2n ** 64n - 1n), is_deleted: 0 },
    { id: 2, v: 'back', ver: high(2n ** 63n, 1n), is_deleted: 0 },
    { id: 2, v: 'gone', ver: high(2n ** 63n, 0n), is_deleted: 1 },
    { id: 3, v: 'here', ver: '1', is_deleted: 0 },
    { id: 3, v: 'gone', ver: '2', is_deleted: 1 },
  ]
  for (const value of values)
    await client.insert({ table: 'replaced', values: [value], format: 'JSONEachRow' })
  expect(await rows('SELECT id, v, toString(ver) AS ver FROM replaced FINAL ORDER BY id')).toEqual([
    { id: 1, v: 'new', ver: high(2n, 0n) },
    { id: 2, v: 'back', ver: high(2n ** 63n, 1n) },
  ])
})
