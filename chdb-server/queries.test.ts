import { TupleParam } from '@clickhouse/client'
import { describe, expect, test } from 'vitest'
import { startTestServer } from './test-server.fixture.ts'

const { client, createClient, rows, request } = await startTestServer()

describe('queries', () => {
  test('ping, with and without a query', async () => {
    expect(await client.ping()).toEqual({ success: true })
    expect(await client.ping({ select: true })).toEqual({ success: true })
  })

  test('format JSON has data, meta and statistics', async () => {
    const result = await client.query({ query: 'SELECT 1 AS a', format: 'JSON' })
    expect(await result.json()).toMatchObject({
      data: [{ a: 1 }],
      rows: 1,
      meta: [{ name: 'a', type: 'UInt8' }],
      statistics: { elapsed: expect.any(Number) },
    })
  })

  test('64-bit and wider integers come as the server sends them by default: unquoted', async () => {
    const query = 'SELECT toUInt64(18446744073709551615) AS a, toUInt128(1) AS b'
    const asText = async (settings: { output_format_json_quote_64bit_integers?: 1 }) =>
      (await client.query({ query, format: 'JSONEachRow', clickhouse_settings: settings })).text()
    expect(await asText({})).toBe('{"a":18446744073709551615,"b":1}\n')
    expect(await asText({ output_format_json_quote_64bit_integers: 1 })).toBe(
      '{"a":"18446744073709551615","b":"1"}\n',
    )
  })

  test.each([
    'SHOW TABLES',
    'DESCRIBE TABLE system.one',
    'EXPLAIN SELECT 1',
    'EXPLAIN AST SELECT 1',
    '(SELECT 1)',
  ])('reads: %s', async (query) => {
    const result = await client.query({ query, format: 'TabSeparated' })
    if (query !== 'SHOW TABLES') expect(await result.text()).not.toBe('')
  })

  test.each([
    ['SELECT 1 AS a -- a comment\n;', '{"a":1}\n'],
    ['/* FORMAT CSV */ SELECT 1 AS a SETTINGS max_threads = 1', '{"a":1}\n'],
    ["SELECT ' FORMAT CSV' AS a", '{"a":" FORMAT CSV"}\n'],
    ['SELECT 1 AS a FORMAT CSV', '1\n'],
    ['SELECT 1 AS a FORMAT CSV SETTINGS max_threads = 1;', '1\n'],
    ['WITH 1 AS x SELECT x AS a UNION DISTINCT SELECT 1', '{"a":1}\n'],
    ['SELECT 1 AS a WHERE 0', ''],
    ['SELECT 1 AS a FORMAT Null', ''],
  ])('the FORMAT of %j is found', async (query, text) => {
    const response = await request({ default_format: 'JSONEachRow' }, { method: 'POST', body: query })
    expect(await response.text()).toBe(text)
  })

  test('a query with no format is answered as TabSeparated', async () => {
    const response = await request({ query: "SELECT 1, 'a'" })
    expect([response.headers.get('x-clickhouse-format'), await response.text()]).toEqual([
      'TabSeparated',
      '1\ta\n',
    ])
  })

  test('the database of the client holds', async () => {
    await client.command({ query: 'CREATE DATABASE `odd ``name` ENGINE = Atomic' })
    const other = createClient({ database: 'odd `name' })
    expect(await rows('SELECT currentDatabase() AS d', { client: other })).toEqual([{ d: 'odd `name' }])
  })

  test('the headers name query, format and rows read', async () => {
    const result = await client.query({ query: 'SELECT 1', format: 'JSONEachRow', query_id: 'my-id' })
    await result.text()
    expect(result.query_id).toBe('my-id')
    expect(result.response_headers).toMatchObject({
      'x-clickhouse-query-id': 'my-id',
      'x-clickhouse-format': 'JSONEachRow',
      'x-clickhouse-summary': expect.stringContaining('"read_rows":"1"'),
    })
  })
})

describe('parameters', () => {
  const nasty = `it's "q" \\ back\\nslash \t tab \n newline \u0000 nul ünï 🎉 {x:UInt8} -- ; '`

  test.each<[string, unknown, unknown]>([
    ['UInt32', 7, 7],
    ['String', nasty, nasty],
    ['String', '\u0000', '\u0000'],
    ['String', '', ''],
    ['Bool', true, true],
    ['Nullable(String)', null, null],
    ['Array(String)', ["x'y", 'b\\c', 'd\ne'], ["x'y", 'b\\c', 'd\ne']],
    ['Map(String, UInt8)', { a: 1, b: 2 }, { a: 1, b: 2 }],
    ['Map(String, UInt8)', new Map([['a', 1]]), { a: 1 }],
    ['Tuple(UInt8, String)', new TupleParam([1, 'x']), [1, 'x']],
  ])('{p:%s} takes %j', async (type, value, expected) => {
    expect(await rows(`SELECT {p:${type}} AS p`, { query_params: { p: value } })).toEqual([{ p: expected }])
  })

  test('what JSON cannot hold arrives exactly', async () => {
    const query = `SELECT toString({u:UInt64}) AS u, toString({w:UInt128}) AS w, toString({f:Float64}) AS f,
      toUnixTimestamp64Milli({d:DateTime64(3)}) AS d, {t:Identifier}.dummy AS i FROM system.{t:Identifier}`
    const params = {
      u: 2n ** 64n - 1n,
      w: 2n ** 128n - 1n,
      f: Number.POSITIVE_INFINITY,
      d: new Date(1_700_000_000_123),
      t: 'one',
    }
    expect(await rows(query, { query_params: params })).toEqual([
      { u: String(2n ** 64n - 1n), w: String(2n ** 128n - 1n), f: 'inf', d: 1_700_000_000_123, i: 0 },
    ])
  })

  test('bytes that are not UTF-8 arrive as they are', async () => {
    const response = await request('query=SELECT+hex({p:String})&param_p=%00a%FF%C3%28%2B%25+%5C%5C%27')
    // A raw NUL is data; the backslash is ClickHouse's own escape in parameter values, hence two for one.
    expect(await response.text()).toBe('0061FFC3282B25205C27\n')
  })

  test('parameters too long for a URL come as a form', async () => {
    const long = 'ä'.repeat(100_000)
    const multipart = createClient({ use_multipart_params: true })
    const result = await rows('SELECT length({p:String}) AS bytes', {
      client: multipart,
      query_params: { p: long },
    })
    expect(result).toEqual([{ bytes: 200_000 }])
  })

  test('a statement longer than max_query_size is refused, as a server would', async () => {
    const query = `SELECT length('${'x'.repeat(300_000)}') AS bytes`
    await expect(rows(query)).rejects.toMatchObject({ code: '62' })
    const settings = { max_query_size: '400000' }
    expect(await rows(query, { clickhouse_settings: settings })).toEqual([{ bytes: 300_000 }])
  })

  test('a missing parameter is error 456', async () => {
    await expect(rows('SELECT {missing:UInt8}')).rejects.toMatchObject({ code: '456' })
  })

  test('40 queries at once each get their own', async () => {
    const values = Array.from({ length: 40 }, (_, index) => index)
    const results = await Promise.all(
      values.map((x) => rows('SELECT {x:UInt32} AS x', { query_params: { x } })),
    )
    expect(results).toEqual(values.map((x) => [{ x }]))
  })
})
