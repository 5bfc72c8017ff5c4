import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { type ChdbProcess, type Log, startChdbProcess } from './chdb-process.ts'

const USERNAME = 'default'
const MIN_BACKOFF_MS = 50
const MAX_BACKOFF_MS = 5_000
/** After running this long a server counts as healthy, and its next restart is not held back. */
const HEALTHY_AFTER_MS = 30_000

export type ChdbServerOptions = {
  /** The data folder; it is made if there is none. */
  dataPath: string
  log?: Log
  /** Called each time the server is up again after it died. */
  onRestart?: () => void
}

/** A running server. Address and password stay the same over its restarts. */
export type ChdbServer = {
  /** `http://127.0.0.1:PORT` */
  url: string
  username: string
  password: string
  /** The process that serves; undefined between a death and the restart, and after stop. */
  pid(): number | undefined
  /** Ends the server within 5 s: SIGTERM, then SIGKILL. */
  stop(): Promise<void>
}

const NO_LOG: Log = { info: () => {}, warn: () => {}, error: () => {} }

/**
 * Starts a ClickHouse-compatible HTTP server over a data folder as a child process, and keeps it running until
 * it is stopped. It ends by itself when this process dies.
 *
 * @throws {ChdbServerError} `CHDB_LOCKED`, `CHDB_PLATFORM` or `CHDB_START`.
 */
export async function startChdbServer(options: ChdbServerOptions): Promise<ChdbServer> {
  const { dataPath, log = NO_LOG, onRestart } = options
  const password = randomBytes(24).toString('base64url')
  const stopping = new AbortController()
  const start = (port: number) =>
    startChdbProcess({ dataPath, port, user: USERNAME, password, log, signal: stopping.signal })

  const first = await start(0)
  log.info({ pid: first.pid, port: first.port }, 'chdb server started')
  let current: ChdbProcess | undefined = first

  async function keepRunning(): Promise<void> {
    let backoffMs = MIN_BACKOFF_MS
    while (!stopping.signal.aborted) {
      if (current) {
        const startedAt = performance.now()
        const end = await current.ended
        if (stopping.signal.aborted) return
        log.error({ pid: current.pid, ...end }, 'chdb server died')
        current = undefined
        if (performance.now() - startedAt > HEALTHY_AFTER_MS) backoffMs = MIN_BACKOFF_MS
      }
      await delay(backoffMs, undefined, { signal: stopping.signal })
      backoffMs = Math.min(backoffMs * 2, MAX_BACKOFF_MS)
      current = await restart()
      if (current) onRestart?.()
    }
  }

  async function restart(): Promise<ChdbProcess | undefined> {
    try {
      const child = await start(first.port)
      log.warn({ pid: child.pid, port: child.port }, 'chdb server restarted')
      return child
    } catch (error) {
      log.error({ err: error }, 'chdb server could not be restarted, trying again')
      return undefined
    }
  }

  const supervision = keepRunning().catch((error: unknown) => {
    // stop() aborts the delay, which rejects.
    if (!stopping.signal.aborted) throw error
  })
  return {
    url: `http://127.0.0.1:${first.port}`,
    username: USERNAME,
    password,
    pid: () => current?.pid,
    stop: async () => {
      stopping.abort()
      await current?.stop()
      await supervision
      // A restart may have been under way.
      await current?.stop()
      current = undefined
    },
  }
}
