import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { startTestServer } from './test-server.fixture.ts'

const { client, createClient, createTable, rows, request } = await startTestServer()

const getSetting = (name: string) => `SELECT getSetting('${name}') AS v`

describe('settings', () => {
  test('hold for their own query, and no longer', async () => {
    expect(
      await rows(getSetting('max_block_size'), { clickhouse_settings: { max_block_size: '777' } }),
    ).toEqual([{ v: 777 }])
    expect(await rows(getSetting('max_block_size'))).not.toEqual([{ v: 777 }])
  })

  test('of the client hold for all its queries', async () => {
    const other = createClient({ clickhouse_settings: { max_block_size: '999' } })
    expect(await rows(getSetting('max_block_size'), { client: other })).toEqual([{ v: 999 }])
  })

  test('of queries that run at once do not meet', async () => {
    const limits = Array.from({ length: 20 }, (_, index) => (index % 2 ? 1000 + index : 0))
    const results = await Promise.all(
      limits.map((limit) =>
        rows(
          getSetting('max_result_rows'),
          limit ? { clickhouse_settings: { max_result_rows: String(limit) } } : {},
        ),
      ),
    )
    expect(results).toEqual(limits.map((v) => [{ v }]))
  })

  test('take any text', async () => {
    const text = `a\\b'; DROP TABLE x; -- \n ü`
    expect(await rows(getSetting('log_comment'), { clickhouse_settings: { log_comment: text } })).toEqual([
      { v: text },
    ])
  })

  test('that do not exist are error 115', async () => {
    const response = await request({ query: 'SELECT 1', no_such_setting: '1' })
    expect([response.status, response.headers.get('x-clickhouse-exception-code')]).toEqual([404, '115'])
  })

  test('that only ask for progress or buffering are accepted', async () => {
    const settings = { wait_end_of_query: 1, send_progress_in_http_headers: 1 } as const
    expect(await rows('SELECT 1 AS a', { clickhouse_settings: settings })).toEqual([{ a: 1 }])
  })

  test('set by a readonly query bind only it', async () => {
    const table = await createTable('a UInt8')
    const insert = `INSERT INTO ${table} VALUES (1)`
    await expect(
      client.command({ query: insert, clickhouse_settings: { readonly: '1' } }),
    ).rejects.toMatchObject({ code: '164' })
    await client.command({ query: insert })
    expect(await rows(`SELECT a FROM ${table}`)).toEqual([{ a: 1 }])
  })
})

describe('injection', () => {
  const breakouts = [
    `'; DROP TABLE victim; --`,
    `\\'; DROP TABLE victim; --`,
    `x\`; DROP TABLE victim; --`,
    `\n\nDROP TABLE victim`,
  ]

  test.each(breakouts)('%j is only a value', async (text) => {
    await client.command({
      query: 'CREATE TABLE IF NOT EXISTS victim (a String) ENGINE = MergeTree ORDER BY a',
    })
    const attempts = [
      { query: 'SELECT 1', log_comment: text },
      { query: 'SELECT 1', max_threads: text },
      { query: 'SELECT 1', [`max_threads = 1${text}`]: '1' },
      { query: 'SELECT {p:String}', param_p: text },
      { query: 'SELECT {p:String}', [`param_p = 1${text}`]: '1' },
      { query: 'SELECT {p:Identifier} FROM system.one', param_p: text },
      { query: 'SELECT 1', database: text },
      { query: 'SELECT 1', default_format: text },
      { query: 'SELECT 1', session_id: text },
      { query: 'SELECT 1', query_id: text.replaceAll('\n', ' ') },
    ]
    for (const attempt of attempts) await (await request(attempt, { method: 'POST' })).text()
    await client.insert({ table: 'victim', values: [{ a: text }], format: 'JSONEachRow' })
    await request(
      { query: 'INSERT INTO victim FORMAT LineAsString' },
      {
        method: 'POST',
        body: `${text}

DROP TABLE victim
`,
      },
    )
    expect(
      await rows('SELECT count() > 0 AS found FROM victim WHERE a = {text:String}', {
        query_params: { text },
      }),
    ).toEqual([{ found: 1 }])
  })

  test.each(['SELECT 1; SELECT 2', 'DROP TABLE kept; SELEC 1', 'INSERT INTO kept SELECT 2; DROP TABLE kept'])(
    'more than one statement is refused, and none of them runs: %s',
    async (query) => {
      await client.command({
        query: 'CREATE TABLE IF NOT EXISTS kept (a UInt8) ENGINE = MergeTree ORDER BY a',
      })
      await expect(client.command({ query })).rejects.toMatchObject({ code: '62' })
      expect(await rows('SELECT count() AS rows FROM kept')).toEqual([{ rows: 0 }])
    },
  )

  test('GET only reads', async () => {
    const table = await createTable('a UInt8')
    const response = await request({ query: `DROP TABLE ${table}` })
    expect([response.status, response.headers.get('x-clickhouse-exception-code')]).toEqual([500, '164'])
    expect(await rows(`SELECT count() AS rows FROM ${table}`)).toEqual([{ rows: 0 }])
  })
})

describe('sessions', () => {
  test('USE and SET outside of a session leave nothing behind', async () => {
    await client.command({ query: 'USE system' })
    await client.command({ query: 'SET max_block_size = 1234' })
    expect(
      await rows(`SELECT currentDatabase() AS d, getSetting('max_block_size') = 1234 AS leaked`),
    ).toEqual([{ d: 'default', leaked: 0 }])
  })

  test('keep temporary tables, SET and USE to themselves', async () => {
    const session_id = randomUUID()
    await client.command({ query: 'CREATE TEMPORARY TABLE own (a UInt8)', session_id })
    await client.command({ query: 'SET max_block_size = 1234', session_id })
    await client.command({ query: 'USE system', session_id })
    const state = `SELECT currentDatabase() AS d, getSetting('max_block_size') AS v, (SELECT count() FROM own) AS rows`
    expect(await rows(state, { session_id })).toEqual([{ d: 'system', v: 1234, rows: 0 }])
    await expect(rows('SELECT * FROM own', { session_id: randomUUID() })).rejects.toMatchObject({
      code: '60',
    })
  })

  test('do not keep the settings, the database or the failed bytes of one query', async () => {
    const session_id = randomUUID()
    await client.command({ query: 'SET max_block_size = 1234', session_id })
    const other = createClient({ database: 'system' })
    await rows('SELECT 1', {
      client: other,
      session_id,
      clickhouse_settings: { max_block_size: '5', log_comment: 'x' },
    })
    await expect(rows('SELECT throwIf(number = 3) FROM numbers(9)', { session_id })).rejects.toMatchObject({
      code: '395',
    })
    await expect(
      client.command({ query: 'EXISTS TABLE no_such_database.x', session_id }),
    ).resolves.toBeDefined()
    const state = `SELECT currentDatabase() AS d, getSetting('max_block_size') AS v, getSetting('log_comment') AS c`
    expect(await rows(state, { session_id })).toEqual([{ d: 'default', v: 1234, c: '' }])
  })

  test('run one statement at a time: the second is error 373', async () => {
    const session_id = randomUUID()
    const both = [0, 1].map(() => rows('SELECT sleep(0.3) AS s', { session_id }))
    const results = await Promise.allSettled(both)
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(results.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: '373' } })
  })

  test('end by themselves', async () => {
    const session_id = randomUUID()
    const settings = (query: string) =>
      request({ query, session_id, session_timeout: '0.05' }, { method: 'POST' })
    await settings('CREATE TEMPORARY TABLE own (a UInt8)')
    await expect
      .poll(async () => (await settings('EXISTS TEMPORARY TABLE own')).text(), {
        timeout: 20_000,
        interval: 150,
      })
      .toBe('0\n')
  })
})
