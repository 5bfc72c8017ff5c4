import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { type ClickHouseClient, ClickHouseLogLevel, createClient } from '@clickhouse/client'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type ChdbServer, type ChdbServerOptions, startChdbServer } from './start-chdb-server.ts'

/** For what takes some milliseconds, but more on a busy machine. */
const eventually = { timeout: 20_000, interval: 10 }

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'chdb-server-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  return folder
}

async function start(options: ChdbServerOptions): Promise<ChdbServer> {
  const server = await startChdbServer(options)
  onTestFinished(() => server.stop())
  return server
}

function clientOf({ url, username, password }: ChdbServer): ClickHouseClient {
  const client = createClient({ url, username, password, log: { level: ClickHouseLogLevel.OFF } })
  onTestFinished(() => client.close())
  return client
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe('a server that dies', () => {
  test('comes back at the same address with every acknowledged insert, and this is logged', async () => {
    const log: string[] = []
    const write = (_: object, message: string) => log.push(message)
    let restarts = 0
    const server = await start({
      dataPath: await temporaryFolder(),
      log: { info: write, warn: write, error: write },
      onRestart: () => restarts++,
    })
    const client = clientOf(server)
    const pid = server.pid()!
    await client.command({ query: 'CREATE TABLE t (id UInt32) ENGINE = MergeTree ORDER BY id' })
    const acknowledged: number[] = []
    const [isTrue, isFalse] = [() => true, () => false]
    const insertAll = async (writer: number) => {
      for (let id = writer; restarts < 2; id += 4) {
        const insert = client.insert({ table: 't', values: [{ id }], format: 'JSONEachRow' })
        const isAcknowledged = await insert.then(isTrue, isFalse)
        if (isAcknowledged) acknowledged.push(id)
      }
    }
    const writers = [0, 1, 2, 3].map(insertAll)
    for (const kills of [1, 2]) {
      await expect.poll(() => acknowledged.length, eventually).toBeGreaterThan(kills * 40)
      process.kill(server.pid()!, 'SIGKILL')
      await expect.poll(() => restarts, eventually).toBe(kills)
    }
    await Promise.all(writers)

    const result = await client.query({ query: 'SELECT id FROM t', format: 'JSONEachRow' })
    const found = new Set((await result.json<{ id: number }>()).map(({ id }) => id))
    expect(acknowledged.filter((id) => !found.has(id))).toEqual([])
    expect(server.pid()).not.toBe(pid)
    expect(log.filter((message) => message !== 'chdb server')).toEqual([
      'chdb server started',
      ...['chdb server died', 'chdb server restarted', 'chdb server died', 'chdb server restarted'],
    ])
  })

  test('while it is being stopped stays down', async () => {
    const server = await start({ dataPath: await temporaryFolder() })
    process.kill(server.pid()!, 'SIGKILL')
    await server.stop()
    expect(server.pid()).toBeUndefined()
    await expect(fetch(`${server.url}/ping`)).rejects.toThrow()
  })
})

describe('stop', () => {
  test('lets what runs end, frees the folder, and keeps the data', async () => {
    const dataPath = await temporaryFolder()
    const first = await start({ dataPath })
    const client = clientOf(first)
    await client.command({ query: 'CREATE TABLE t (id UInt32) ENGINE = MergeTree ORDER BY id' })
    const query = 'INSERT INTO t SELECT number FROM numbers(10) WHERE sleepEachRow(0.05) = 0'
    const insert = client.command({ query })
    const running = `SELECT count() AS n FROM system.processes WHERE startsWith(query, 'INSERT')`
    const isRunning = async () => (await client.query({ query: running, format: 'CSV' })).text()
    await expect.poll(isRunning, eventually).toBe('1\n')
    const started = performance.now()
    await first.stop()
    expect(performance.now() - started).toBeLessThan(2_500)
    await insert
    const second = await start({ dataPath })
    const result = await clientOf(second).query({
      query: 'SELECT count() AS n FROM t',
      format: 'JSONEachRow',
    })
    expect(await result.json()).toEqual([{ n: 10 }])
    expect(second.password).not.toBe(first.password)
  })

  test('does not wait for a query that does not end', async () => {
    const server = await start({ dataPath: await temporaryFolder() })
    const client = clientOf(server)
    const query = client.query({
      query: 'SELECT sum(sipHash64(number)) FROM numbers(90000000000)',
      format: 'CSV',
    })
    query.catch(() => {})
    await client.ping({ select: true })
    const started = performance.now()
    await server.stop()
    expect(performance.now() - started).toBeLessThan(6_000)
    await expect(query).rejects.toThrow()
  })
})

describe('a start that cannot be', () => {
  test('because another process holds the folder', async () => {
    const dataPath = await temporaryFolder()
    const server = await start({ dataPath })
    await expect(startChdbServer({ dataPath })).rejects.toMatchObject({
      code: 'CHDB_LOCKED',
      message: expect.stringContaining(`${dataPath} is held by another process`),
    })
    expect(await clientOf(server).ping({ select: true })).toEqual({ success: true })
  })

  test('because the path is a file', async () => {
    const dataPath = join(await temporaryFolder(), 'file')
    await writeFile(dataPath, '')
    await expect(startChdbServer({ dataPath })).rejects.toMatchObject({ code: 'CHDB_START' })
  })

  test('because the folder is damaged', async () => {
    const dataPath = await temporaryFolder()
    await mkdir(join(dataPath, 'metadata'))
    await writeFile(join(dataPath, 'metadata', 'broken.sql'), 'this is no SQL')
    await expect(startChdbServer({ dataPath })).rejects.toMatchObject({
      code: 'CHDB_START',
      message: expect.stringContaining(dataPath),
    })
  })
})

describe('a parent that is killed', () => {
  test('takes the server with it, and the folder is free at once', async () => {
    const dataPath = await temporaryFolder()
    const parent: ChildProcess = fork(
      fileURLToPath(new URL('killed-parent.fixture.ts', import.meta.url)),
      [dataPath],
      {
        execArgv: [],
      },
    )
    onTestFinished(() => void parent.kill('SIGKILL'))
    const [{ pid }] = (await once(parent, 'message')) as [{ pid: number }]
    expect(isAlive(pid)).toBe(true)
    parent.kill('SIGKILL')
    await expect.poll(() => isAlive(pid), eventually).toBe(false)
    await start({ dataPath })
  })
})

test('a machine that libchdb is not built for is told so, and which ones it is built for', async () => {
  const pretend = `data:text/javascript,Object.defineProperty(process, 'platform', { value: 'win32' })`
  const child = fork(fileURLToPath(new URL('main.ts', import.meta.url)), {
    execArgv: ['--import', pretend],
    env: { ...process.env, CHDB_DATA_PATH: await temporaryFolder(), CHDB_PASSWORD: 'secret' },
    silent: true,
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const { error } = JSON.parse(await text(child.stdout!)) as { error: unknown }
  expect(error).toEqual({ code: 'CHDB_PLATFORM', message: expect.stringMatching(/win32-.*linux-x64/) })
})
