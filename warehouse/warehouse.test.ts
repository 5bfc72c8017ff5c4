import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { startChdbServer } from '@tendon/chdb-server/start-chdb-server.ts'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { clickHouseErrorCode, createWarehouse } from './client.ts'
import { applyMigrations } from './migrate.ts'
import { readMigrations } from './migration-files.ts'
import { onCluster } from './on-cluster.ts'
import { defineQuery } from './query.ts'

const folder = await mkdtemp(join(tmpdir(), 'tendon-warehouse-'))
const server = await startChdbServer({ dataPath: join(folder, 'clickhouse') })
const warehouse = createWarehouse(server)
afterAll(async () => {
  await warehouse.close()
  await server.stop()
  await rm(folder, { recursive: true })
})

const numbers = defineQuery({
  name: 'numbers',
  sql: `SELECT toUInt128({big:String}) AS big, toDateTime64('2026-01-02 03:04:05.678901', 6, 'UTC') AS at, {n:UInt8} AS n`,
  params: z.object({ big: z.string(), n: z.int() }),
  row: z.object({ big: z.string(), at: z.iso.datetime(), n: z.int() }),
})

describe('the client', () => {
  test('keeps 128-bit integers and microseconds, and binds parameters', async () => {
    const big = '340282366920938463463374607431768211455'
    expect(await warehouse.query(numbers, { big, n: 7 })).toEqual([
      { big, at: '2026-01-02T03:04:05.678901Z', n: 7 },
    ])
  })

  test('a row of another shape is an error that names the query and the column', async () => {
    const wrong = defineQuery({ ...numbers, row: z.object({ n: z.string() }) })
    await expect(warehouse.query(wrong, { big: '1', n: 7 })).rejects.toMatchObject({
      code: 'TENDON-WAREHOUSE-003',
      message: expect.stringMatching(/numbers .*(n: .*expected string)/),
    })
  })

  test('inserts a buffer, a stream and objects; a failed insert says why in its cause only', async () => {
    await warehouse.command("CREATE TABLE default.t (a UInt64, at DateTime64(3, 'UTC')) ORDER BY a")
    await warehouse.command('INSERT INTO default.t (a) SELECT {a:UInt64}', { a: '5' })
    await warehouse.insertLines('default.t', Buffer.from('{"a":1}\n{"a":2}\n'), 'JSONEachRow', ['a'])
    await warehouse.insertLines('default.t', Readable.from([Buffer.from('3\n'), Buffer.from('4\n')]), 'CSV', [
      'a',
    ])
    await warehouse.insertRows('default.t', [{ a: '18446744073709551615', at: '2026-01-02T03:04:05.678Z' }])
    const all = defineQuery({
      name: 'all',
      sql: 'SELECT toString(a) AS a FROM default.t ORDER BY t.a',
      params: z.object({}),
      row: z.object({ a: z.string() }),
    })
    expect((await warehouse.query(all, {})).map(({ a }) => a)).toEqual([
      '1',
      '2',
      '3',
      '4',
      '5',
      '18446744073709551615',
    ])

    const failure = await warehouse
      .insertLines('default.none', Buffer.from('1\n'), 'CSV')
      .catch((error) => error)
    expect(failure).toMatchObject({
      code: 'TENDON-WAREHOUSE-002',
      message: expect.not.stringContaining('INSERT'),
    })
    expect(clickHouseErrorCode(failure)).toBe(60)
  })

  test('a list outgrows a URL, in a query and in a command', async () => {
    await warehouse.command('CREATE TABLE default.keys (key String) ORDER BY key')
    const keys = Array.from({ length: 20_000 }, (_, n) => `{"id":"${n}, with a \\ and a '"}`)
    const insert =
      'INSERT INTO default.keys SELECT arrayJoin({keys:Array(String)}) SETTINGS insert_deduplicate = 0'
    await warehouse.command(insert, { keys })
    const found = defineQuery({
      name: 'found',
      sql: 'SELECT toUInt32(count()) AS n FROM default.keys WHERE key IN {keys:Array(String)}',
      params: z.object({ keys: z.array(z.string()) }),
      row: z.object({ n: z.int() }),
    })
    expect(await warehouse.query(found, { keys })).toEqual([{ n: keys.length }])
    await warehouse.command(
      'ALTER TABLE default.keys DELETE WHERE key IN {keys:Array(String)} SETTINGS mutations_sync = 2',
      { keys: keys.slice(1) },
    )
    expect(await warehouse.query(found, { keys })).toEqual([{ n: 1 }])
  })

  test('a server that is not there, and wrong credentials', async () => {
    const nowhere = createWarehouse({ ...server, url: 'http://127.0.0.1:1' })
    await expect(nowhere.ping()).rejects.toMatchObject({ code: 'TENDON-WAREHOUSE-001' })
    const stranger = createWarehouse({ ...server, password: 'wrong' })
    await expect(stranger.ping()).rejects.toMatchObject({ code: 'TENDON-WAREHOUSE-002' })
    await Promise.all([nowhere.close(), stranger.close()])
  })
})

describe('migrations', () => {
  test('apply once, whoever runs them and however often', async () => {
    const names = (await readMigrations()).map(({ name }) => name)
    const both = await Promise.all([applyMigrations(warehouse), applyMigrations(warehouse)])
    expect(both.flat()).toEqual(expect.arrayContaining(names))
    expect(await applyMigrations(warehouse)).toEqual([])
  })

  test('may be run again from the start: a run that died half way left no trace in the ledger', async () => {
    await applyMigrations(warehouse)
    await warehouse.command('TRUNCATE TABLE warehouse.migrations')
    expect(await applyMigrations(warehouse)).toHaveLength((await readMigrations()).length)
  })

  test('the log of a customer is found by its index in rows that were there before it, too', async () => {
    const explain = defineQuery({
      name: 'explain',
      sql: `
        EXPLAIN indexes = 1 SELECT key FROM cdc.events
        WHERE table = 'test.old' AND simpleJSONExtractString(row, 'customer_id') = {customer:String}`,
      params: z.object({ customer: z.string() }),
      row: z.object({ explain: z.string() }),
    })
    await applyMigrations(warehouse)
    await warehouse.command('ALTER TABLE cdc.events DROP INDEX customer')
    await warehouse.command(`
      INSERT INTO cdc.events (table, key, version, row, committed_at)
      SELECT 'test.old', toString(number), number, concat('{"customer_id":"', toString(number), '"}'), now64(6)
      FROM numbers(100000)`)
    await warehouse.command('TRUNCATE TABLE warehouse.migrations')
    await applyMigrations(warehouse)
    // A mutation, which ClickHouse does by and by.
    await vi.waitFor(async () => {
      const plan = (await warehouse.query(explain, { customer: '77777' })).map((line) => line.explain.trim())
      const granules = plan.slice(plan.indexOf('Name: customer')).find((line) => line.startsWith('Granules:'))
      expect(granules).toMatch(/^Granules: [1-3]\/1\d$/)
    }, 30_000)
  })

  test('every table and every column says what it is', async () => {
    await applyMigrations(warehouse)
    const undocumented = defineQuery({
      name: 'undocumented',
      sql: `
        SELECT concat(database, '.', table, '.', name) AS name FROM system.columns
        WHERE database IN ('cdc', 'reports', 'warehouse') AND comment = ''
            AND (database, table) NOT IN (
                SELECT database, name FROM system.tables WHERE engine = 'MaterializedView'
            )
        UNION ALL
        SELECT concat(database, '.', name) FROM system.tables
        WHERE database IN ('cdc', 'reports', 'warehouse') AND comment = ''`,
      params: z.object({}),
      row: z.object({ name: z.string() }),
    })
    expect(await warehouse.query(undocumented, {})).toEqual([])
  })

  test('a change of an applied one, and one of a later version, are refused', async () => {
    await applyMigrations(warehouse)
    await warehouse.insertRows('warehouse.migrations', [{ number: 999, name: '999-later', checksum: '' }])
    await expect(applyMigrations(warehouse)).rejects.toMatchObject({ code: 'TENDON-WAREHOUSE-005' })
    await warehouse.command('TRUNCATE TABLE warehouse.migrations')
    await warehouse.insertRows('warehouse.migrations', [
      { number: 1, name: '001-change-log', checksum: 'other' },
    ])
    await expect(applyMigrations(warehouse)).rejects.toMatchObject({ code: 'TENDON-WAREHOUSE-004' })
    await warehouse.command('TRUNCATE TABLE warehouse.migrations')
  })

  test('two with the same number are refused, and a comment changes nothing', async () => {
    const drafts = pathToFileURL(`${await mkdtemp(join(folder, 'migrations-'))}/`)
    const write = (name: string, text: string) => writeFile(new URL(name, drafts), text)
    await write('001-one.sql', 'SELECT 1;\n')
    const [plain] = await readMigrations(drafts)
    await write('001-one.sql', '-- Why; and how.\nSELECT 1;\n')
    expect(await readMigrations(drafts)).toEqual([plain])
    await write('001-other.sql', 'SELECT 2;\n')
    await expect(readMigrations(drafts)).rejects.toMatchObject({
      code: 'TENDON-WAREHOUSE-006',
      message: expect.stringContaining('001-one and 001-other'),
    })
  })

  test('on a cluster, everything is made on every node and tables are replicated', async () => {
    const statements = (await readMigrations()).flatMap((migration) => migration.statements)
    // What an INSERT writes into a replicated table, the table itself brings to the other nodes.
    for (const statement of statements.filter((text) => !text.startsWith('INSERT'))) {
      const text = onCluster(statement, 'main')
      expect(text).toMatch(/^[A-Z ]+ [\w.]+ ON CLUSTER 'main'/)
      expect(text).not.toMatch(/ENGINE = \w*(?<!Replicated)(?:Replacing)MergeTree/)
    }
    const table = onCluster(
      'CREATE TABLE IF NOT EXISTS a.b\n(\n    c Int8\n)\nENGINE = ReplacingMergeTree(v)',
      "it's",
    )
    expect(table).toContain("a.b ON CLUSTER 'it\\'s'\n")
    expect(table).toContain('ENGINE = ReplicatedReplacingMergeTree(v)')
  })
})

describe('the command', () => {
  const run = (argv: string[], env: Record<string, string> = {}) =>
    promisify(execFile)(process.execPath, [join(import.meta.dirname, 'main.ts'), ...argv], {
      env: { PATH: process.env.PATH, ...env },
    })

  test('--help lists the options, a missing address is usage', async () => {
    expect((await run(['migrate', '--help'])).stdout).toContain('CLICKHOUSE_URL')
    await expect(run(['query'], env)).rejects.toMatchObject({
      stderr: expect.stringContaining('takes a statement'),
    })
    await expect(run(['migrate'])).rejects.toMatchObject({
      code: 64,
      stderr: expect.stringContaining('CLICKHOUSE_URL'),
    })
    await expect(run(['mend'])).rejects.toMatchObject({ code: 64 })
  })

  const env = {
    CLICKHOUSE_URL: server.url,
    CLICKHOUSE_USER: server.username,
    CLICKHOUSE_PASSWORD: server.password,
  }

  test('prints what ClickHouse answers to a statement, and what it refuses', async () => {
    const rows = await run(['query', 'SELECT number AS n, toString(n) AS text FROM numbers(2)'], env)
    expect(rows.stdout).toBe('{"n":"0","text":"0"}\n{"n":"1","text":"1"}\n')
    const floats = await run(['query', 'SELECT nan AS a, -inf AS b, NULL AS c'], env)
    expect(floats.stdout).toBe('{"a":"nan","b":"-inf","c":null}\n')
    expect((await run(['query', 'SELECT 1, 2 FORMAT TSV'], env)).stdout).toBe('1\t2\n')
    const late = 'SELECT throwIf(number = 2999999) FROM numbers(3000000) SETTINGS max_block_size = 1000'
    for (const refused of ['SELECT nothing', 'CREATE DATABASE nothing', late])
      await expect(run(['query', refused], env)).rejects.toMatchObject({
        code: 1,
        stdout: '',
        stderr: expect.stringContaining('TENDON-WAREHOUSE-002'),
      })
    await expect(run(['query'], env)).rejects.toMatchObject({ code: 64 })
  })

  test('migrates', async () => {
    await run(['migrate'], env)
    expect((await run(['migrate'], env)).stdout).toBe('nothing to apply\n')
  })
})
