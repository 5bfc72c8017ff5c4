import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { createLog } from '@tendon/platform/log.ts'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded-postgres.ts'
import { sourcesErrors } from './errors.ts'
import { describeProcess } from './process-table.ts'

let dataPath: string
let servers: EmbeddedPostgres[]

beforeEach(async () => {
  // mkdtemp makes it 0700: as root, PostgreSQL's user may not enter it without help.
  dataPath = await mkdtemp(join(tmpdir(), 'tendon-embedded-postgres-'))
  servers = []
})

afterEach(async () => {
  await Promise.all(servers.map((server) => server.stop()))
  await rm(dataPath, { recursive: true, force: true })
})

async function start(settings: Record<string, string> = {}): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({ dataPath, settings })
  servers.push(server)
  return server
}

async function query<Row extends pg.QueryResultRow>(url: string, sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Row>(sql)).rows
  } finally {
    await client.end()
  }
}

/** A Node process of its own that starts the server and then only waits. */
function spawnStarter() {
  const program = `
    const { startEmbeddedPostgres } = await import(${JSON.stringify(import.meta.resolve('./embedded-postgres.ts'))})
    const server = await startEmbeddedPostgres({ dataPath: ${JSON.stringify(dataPath)} })
    process.stdout.write(server.pid + '\\n')
    setInterval(() => {}, 1000)`
  return spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

describe('startEmbeddedPostgres', () => {
  test('keeps data over a stop and over a crash, listens on loopback only, takes settings', async () => {
    const first = await start({ wal_level: 'logical' })
    await first.createDatabase('crm')
    await first.createDatabase('crm')
    await query(first.url('crm'), 'CREATE TABLE kept (value integer); INSERT INTO kept VALUES (1)')
    await first.stop()

    const second = await start({ wal_level: 'logical' })
    await query(second.url('crm'), 'INSERT INTO kept VALUES (2)')
    await second.kill9()

    const third = await start({ wal_level: 'logical' })
    expect(await query(third.url('crm'), 'SELECT value FROM kept ORDER BY value')).toEqual([
      { value: 1 },
      { value: 2 },
    ])
    const settings = await query(
      third.url('crm'),
      `SELECT name, setting FROM pg_settings
       WHERE name IN ('fsync', 'listen_addresses', 'wal_level', 'unix_socket_directories') ORDER BY name`,
    )
    expect(settings.map(({ setting }) => setting)).toEqual(['on', '127.0.0.1', '', 'logical'])
    const password = await stat(join(dataPath, 'password'))
    expect(password.mode & 0o777).toBe(0o600)
    await expect(query(third.url('crm').replace(/:[^:]+@/, ':wrong@'), 'SELECT 1')).rejects.toThrow(
      'password',
    )
  })

  test('says loudly when the server dies unexpectedly, and nothing when it is stopped', async () => {
    const died = Promise.withResolvers<string>()
    const log = createLog({ service: 'test', level: 'fatal' }, { write: died.resolve })
    const server = await startEmbeddedPostgres({ dataPath, log })
    process.kill(server.pid, 'SIGKILL')
    const { port } = server
    expect(JSON.parse(await died.promise)).toMatchObject({ level: 'fatal', signal: 'SIGKILL', port })

    const lines: string[] = []
    const quiet = createLog({ service: 'test', level: 'warn' }, { write: (line) => void lines.push(line) })
    const again = await startEmbeddedPostgres({ dataPath, log: quiet })
    await again.stop()
    expect(lines).toEqual([])
  })

  test('stops the server of a killed process and starts anew', async () => {
    const starter = spawnStarter()
    const [line] = await once(createInterface(starter.stdout), 'line')
    const postmasterPid = Number(line)
    await expect(start()).rejects.toMatchObject({ code: 'TENDON-SOURCES-005' })

    starter.kill('SIGKILL')
    await once(starter, 'exit')
    expect(await describeProcess(postmasterPid)).toBeDefined()

    const server = await start()
    expect(await describeProcess(postmasterPid)).toBeUndefined()
    expect(await query(server.url('postgres'), 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  })

  test('does not take a foreign process for its server when postmaster.pid is stale', async () => {
    const server = await start()
    await server.kill9()
    // PostgreSQL itself is only misled by a process of its own user.
    const clusterPath = join(dataPath, 'cluster')
    const { uid, gid } = await stat(clusterPath)
    const foreigner = spawn('sleep', ['60'], { uid, gid })
    await writeFile(join(clusterPath, 'postmaster.pid'), `${foreigner.pid}\n${clusterPath}\n1\n1\n\n\n\n`)
    await expect(start().then(() => 'started')).resolves.toBe('started')
    expect(foreigner.exitCode).toBeNull()
    foreigner.kill()
    await once(foreigner, 'exit')
  })

  test('a folder of another version says what can be done', async () => {
    const first = await startEmbeddedPostgres({ dataPath })
    await first.stop()
    await writeFile(join(dataPath, 'cluster', 'PG_VERSION'), '17\n')
    await expect(startEmbeddedPostgres({ dataPath })).rejects.toMatchObject({
      code: sourcesErrors.otherVersion.code,
      message: expect.stringContaining('is of PostgreSQL 17'),
    })
  })

  test('starts initdb over when it was killed half way', async () => {
    const starter = spawnStarter()
    const unfinished = async () => (await readdir(dataPath)).find((name) => name.startsWith('cluster.new'))
    await expect
      .poll(async () => readdir(join(dataPath, (await unfinished())!)), { interval: 5 })
      .toContain('base')
    starter.kill('SIGKILL')
    await once(starter, 'exit')
    expect(await readdir(dataPath)).not.toContain('cluster')

    const server = await start()
    expect(await query(server.url('postgres'), 'SELECT 1 AS one')).toEqual([{ one: 1 }])
  })

  test('stops while a client keeps a transaction open', async () => {
    const server = await start()
    const client = new pg.Client({ connectionString: server.url('postgres') })
    client.on('error', () => {})
    await client.connect()
    await client.query('BEGIN; SELECT 1')
    const startedMs = performance.now()
    await server.stop()
    expect(performance.now() - startedMs).toBeLessThan(4_000)
    expect(await describeProcess(server.pid)).toBeUndefined()
  })
})
