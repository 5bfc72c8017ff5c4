import type { ChildProcess } from 'node:child_process'
import { realpath } from 'node:fs/promises'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import type { TendonError } from '@tendon/platform/errors.ts'
import { freePort } from '@tendon/platform/free-port.ts'
import type { Log } from '@tendon/platform/log.ts'
import pg from 'pg'
import { sourcesErrors } from './errors.ts'
import { startedBySetting, stopOrphanedPostmaster } from './orphaned-postmaster.ts'
import { findPostgresBinaries, spawnPostgresProgram } from './postgres-binaries.ts'
import { openCluster, type PostgresCluster } from './postgres-cluster.ts'

export type EmbeddedPostgres = {
  port: number
  pid: number
  /** `postgresql://` address of one database, with the superuser's password in it. */
  url(database: string): string
  /** Creates a database unless it exists. */
  createDatabase(name: string): Promise<void>
  /** Fast shutdown; after five seconds an immediate one, and then SIGKILL. */
  stop(): Promise<void>
  /** Ends the server as a power cut would: for tests of recovery. */
  kill9(): Promise<void>
}

/** Little memory and few processes: the server shares a small machine with everything else. */
const defaultSettings = {
  shared_buffers: '64MB',
  max_connections: '60',
  io_method: 'sync',
  jit: 'off',
  min_wal_size: '80MB',
  max_wal_size: '512MB',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_checkpoints: 'off',
}

const startTimeoutMs = 60_000
const lingeringBackendsMs = 5_000
const shutdownSteps = [
  { signal: 'SIGINT', waitMs: 5_000 },
  { signal: 'SIGQUIT', waitMs: 1_500 },
  { signal: 'SIGKILL', waitMs: 1_000 },
] as const

/**
 * Starts a real PostgreSQL 18 from npm's binaries as a child process that listens on 127.0.0.1 only. Data is
 * kept under `dataPath` and used again; a server that a killed process left running there is stopped first.
 * A server that ends without having been told to is said in the log as fatal: nothing here works without it.
 * @param settings over the defaults here, as in postgresql.conf: `{ wal_level: 'logical' }`
 * @param port a free one unless told
 * @throws sourcesErrors: platformUnsupported, userUnavailable, initdbFailed, startFailed, folderInUse, otherVersion
 */
export async function startEmbeddedPostgres(options: {
  dataPath: string
  port?: number
  settings?: Record<string, string>
  log?: Log
}): Promise<EmbeddedPostgres> {
  const { log } = options
  const binaries = await findPostgresBinaries()
  const cluster = await openCluster(binaries, resolve(options.dataPath))
  const clusterPath = await realpath(cluster.clusterPath)
  const deadline = performance.now() + lingeringBackendsMs
  for (;;) {
    const orphanPid = await stopOrphanedPostmaster(clusterPath)
    if (orphanPid !== undefined) log?.warn({ pid: orphanPid }, 'stopped the PostgreSQL of a killed process')
    const port = options.port || (await freePort('127.0.0.1'))
    const child = spawnPostgresProgram(
      binaries.postgres,
      ['-D', clusterPath, '-p', String(port), ...settingArgs(options.settings)],
      { user: cluster.user, cwd: clusterPath },
    )
    const outcome = await becomeReady(child, log)
    if (outcome.ready) return attach({ child, cluster, port, log })
    // The backends of a killed postmaster live for a moment longer and hold its shared memory; one that was starting
    // when its parent was killed writes its lock file only now; a port that was free may have been taken since.
    const passing = outcome.lines.some((line) =>
      /is still in use|could not bind|lock file "postmaster.pid" already exists/.test(line),
    )
    if (!passing || performance.now() > deadline) throw notStarted(clusterPath, outcome.lines)
    await delay(100)
  }
}

/** @param lines the last of PostgreSQL's log */
function notStarted(clusterPath: string, lines: string[]): TendonError {
  const log = lines.join(' / ')
  const otherVersion = /initialized by PostgreSQL version (\S+?),? which is not compatible/.exec(log)?.[1]
  return otherVersion
    ? sourcesErrors.otherVersion(
        `${clusterPath} is of PostgreSQL ${otherVersion}, and this is another: ${log}`,
      )
    : sourcesErrors.startFailed(`PostgreSQL in ${clusterPath} did not start: ${log}`)
}

function settingArgs(settings: Record<string, string> = {}): string[] {
  const all = {
    ...defaultSettings,
    ...settings,
    listen_addresses: '127.0.0.1',
    // TCP only: a socket in /tmp would be open to other users of the machine.
    unix_socket_directories: '',
    [startedBySetting]: String(process.pid),
  }
  return Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}

/** Waits for the line that says so, passing the server's log on for as long as it runs. */
function becomeReady(
  child: ChildProcess,
  log: Log | undefined,
): Promise<{ ready: boolean; lines: string[] }> {
  const { promise, resolve: settle } = Promise.withResolvers<{ ready: boolean; lines: string[] }>()
  const lines: string[] = []
  const timer = setTimeout(() => child.kill('SIGKILL'), startTimeoutMs)
  const finish = (ready: boolean) => {
    clearTimeout(timer)
    settle({ ready, lines: lines.splice(0) })
  }
  child.stdout?.resume()
  if (child.stderr) {
    createInterface(child.stderr).on('line', (line) => {
      if (/ (FATAL|PANIC): /.test(line)) log?.warn({ postgres: line }, 'PostgreSQL complains')
      else log?.debug({ postgres: line }, 'PostgreSQL')
      if (lines.push(line) > 20) lines.shift()
      if (line.includes('database system is ready to accept connections')) finish(true)
    })
  }
  child.once('error', (error) => {
    lines.push(error.message)
    finish(false)
  })
  child.once('close', () => finish(false))
  return promise
}

function attach(server: {
  child: ChildProcess
  cluster: PostgresCluster
  port: number
  log: Log | undefined
}): EmbeddedPostgres {
  const { child, cluster, port, log } = server
  let expected = false
  // A process that ends without stopping its server leaves it to shut down by itself.
  const stopAtExit = () => child.kill('SIGINT')
  process.once('exit', stopAtExit)

  const exited = new Promise<void>((settle) => {
    child.once('exit', (code, signal) => {
      process.off('exit', stopAtExit)
      settle()
      if (expected) return
      const ending = { exit_code: code, signal, port }
      log?.fatal(
        ending,
        'PostgreSQL ended unexpectedly: what needs it fails until everything is started again',
      )
    })
  })

  const url = (database: string) =>
    `postgresql://postgres:${cluster.password}@127.0.0.1:${port}/${encodeURIComponent(database)}`

  return {
    port,
    pid: child.pid!,
    url,
    createDatabase: (name) => createDatabase(url('postgres'), name),
    async stop() {
      expected = true
      for (const { signal, waitMs } of shutdownSteps) {
        if (child.exitCode !== null || child.signalCode !== null) return
        child.kill(signal)
        await Promise.race([exited, delay(waitMs, undefined, { ref: false })])
      }
    },
    async kill9() {
      expected = true
      child.kill('SIGKILL')
      await exited
    },
  }
}

async function createDatabase(adminUrl: string, name: string): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl })
  await client.connect()
  try {
    await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}`)
  } catch (error) {
    const duplicateDatabase = '42P04'
    if (!(error instanceof pg.DatabaseError && error.code === duplicateDatabase)) throw error
  } finally {
    await client.end()
  }
}
