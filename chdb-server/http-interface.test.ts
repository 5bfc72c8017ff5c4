import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { ClickHouseError } from '@clickhouse/client'
import { describe, expect, test } from 'vitest'
import { startTestServer } from './test-server.fixture.ts'

const { client, createClient, createTable, request, rows, server } = await startTestServer()

describe('errors', () => {
  test.each([
    ['SELECT * FROM no_such_table', '60', 'UNKNOWN_TABLE'],
    ['selec 1', '62', 'SYNTAX_ERROR'],
    ['1', '62', 'SYNTAX_ERROR'],
    ['-- nothing', '62', 'SYNTAX_ERROR'],
    ['SELECT 1 FORMAT NoSuchFormat', '73', 'UNKNOWN_FORMAT'],
    ["SELECT toUInt8('x')", '6', 'CANNOT_PARSE_TEXT'],
  ])('%s is error %s %s', async (query, code, type) => {
    const error = await client.command({ query }).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(ClickHouseError)
    expect(error).toMatchObject({ code, type })
  })

  test('an insert into no table', async () => {
    const insert = client.insert({ table: 'no_such_table', values: [{ a: 1 }], format: 'JSONEachRow' })
    await expect(insert).rejects.toMatchObject({ code: '60', type: 'UNKNOWN_TABLE' })
  })

  test('a syntax error says what the engine says, and nothing of how it was asked', async () => {
    const response = await request('', { method: 'POST', body: 'SELEC 1' })
    const answer = await response.text()
    expect(answer).toMatch(/^Code: 62\. DB::Exception: Syntax error: failed at position 1 \(SELEC\)/)
    expect(answer).not.toContain('formatQuery')
  })

  test('an error does not show in the next answer', async () => {
    for (let time = 0; time < 5; time++) {
      await expect(rows('SELECT throwIf(number = 5) FROM numbers(9)')).rejects.toMatchObject({ code: '395' })
      expect(await rows('SELECT 1 AS a')).toEqual([{ a: 1 }])
    }
  })

  test('unknown paths are 404', async () => {
    expect((await fetch(`${server.url}/play`)).status).toBe(404)
  })
})

describe('authentication', () => {
  const ways: Record<
    string,
    (user: string, password: string) => { search?: string; headers?: Record<string, string> }
  > = {
    'in headers': (user, password) => ({
      headers: { 'X-ClickHouse-User': user, 'X-ClickHouse-Key': password },
    }),
    'in the URL': (user, password) => ({ search: `${new URLSearchParams({ user, password })}` }),
    'as HTTP Basic': (user, password) => ({
      headers: { Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` },
    }),
  }

  test.each(Object.keys(ways))('%s: the right password, and no other', async (way) => {
    const ask = async (user: string, password: string) => {
      const { search = '', headers = {} } = ways[way]!(user, password)
      const response = await fetch(`${server.url}/?query=SELECT+1&${search}`, { headers })
      await response.text()
      return [response.status, response.headers.get('x-clickhouse-exception-code')]
    }
    expect(await ask(server.username, server.password)).toEqual([200, null])
    expect(await ask(server.username, `${server.password}x`)).toEqual([403, '516'])
    expect(await ask(server.username, '')).toEqual([403, '516'])
    expect(await ask('nobody', server.password)).toEqual([403, '516'])
  })

  test('no password at all', async () => {
    expect((await fetch(`${server.url}/?query=SELECT+1`)).status).toBe(403)
  })

  test('the client is told', async () => {
    const wrong = createClient({ password: 'wrong' })
    await expect(rows('SELECT 1', { client: wrong })).rejects.toMatchObject({
      code: '516',
      type: 'AUTHENTICATION_FAILED',
    })
  })
})

test('the server listens on loopback only', async () => {
  const others = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter((address) => !address.internal && address.family === 'IPv4')
  for (const { address } of others) {
    const connection = connect(Number(new URL(server.url).port), address)
    const outcome = await new Promise((resolve) => {
      connection.once('connect', () => resolve('connected')).once('error', () => resolve('refused'))
    })
    connection.destroy()
    expect(outcome).toBe('refused')
  }
  expect(new URL(server.url).hostname).toBe('127.0.0.1')
})

describe('compression', () => {
  test('both ways through the client', async () => {
    const table = await createTable('a UInt32')
    const compressing = createClient({ compression: { request: true, response: true } })
    const values = Array.from({ length: 100_000 }, (_, a) => ({ a }))
    await compressing.insert({ table, values, format: 'JSONEachRow' })
    expect(await rows(`SELECT a FROM ${table} ORDER BY a`, { client: compressing })).toEqual(values)
  })

  test.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
    ['zstd', zstdCompressSync],
  ] as const)('a body in %s', async (encoding, compress) => {
    const body = compress(Buffer.from('SELECT 1'))
    const response = await request('', { method: 'POST', body, headers: { 'Content-Encoding': encoding } })
    expect([response.status, await response.text()]).toEqual([200, '1\n'])
  })

  test('a body in an encoding that is not known, or broken', async () => {
    const post = async (encoding: string) => {
      const headers = { 'Content-Encoding': encoding }
      return (await request('', { method: 'POST', body: 'SELECT 1', headers })).status
    }
    expect([await post('lzma'), await post('gzip')]).toEqual([400, 500])
    expect(await rows('SELECT 1 AS a')).toEqual([{ a: 1 }])
  })

  test.each(['gzip', 'zstd'])('an answer in %s, when asked for twice', async (encoding) => {
    const answer = async (search: Record<string, string>) => {
      const response = await request(
        { query: 'SELECT number FROM numbers(100000)', ...search },
        { headers: { 'Accept-Encoding': encoding } },
      )
      return [response.headers.get('content-encoding'), (await response.text()).length]
    }
    expect(await answer({ enable_http_compression: '1' })).toEqual([encoding, 588_890])
    expect(await answer({})).toEqual([null, 588_890])
  })
})
