import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { ChdbServerError, type ChdbServerErrorCode } from './chdb-server-error.ts'

/** What is written to the log; pino's methods fit. */
export type Log = Record<'info' | 'warn' | 'error', (fields: object, message: string) => void>

/** A server process that listens. */
export type ChdbProcess = {
  pid: number
  port: number
  /** Resolves when the process has ended, with what a log should tell of it. */
  ended: Promise<{ exitCode: number | null; signal: NodeJS.Signals | null }>
  /** Asks the process to end, and kills it if it does not. Resolves when it has ended. */
  stop(): Promise<void>
}

export type ChdbProcessOptions = {
  dataPath: string
  /** 0 for any free port. */
  port: number
  user: string
  password: string
  log: Log
  /** Aborts the start. */
  signal: AbortSignal
}

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url))
/** 16 statements at once; each holds a thread while it runs. */
const THREADPOOL_SIZE = 20
/** Opening a folder of many tables takes seconds, not minutes. */
const START_TIMEOUT_MS = 60_000
/** Lines of stderr that are kept to explain a failed start. */
const LAST_LINES = 20
/** More than the process takes to give up on statements that do not end. */
const STOP_TIMEOUT_MS = 5_000

/**
 * Starts one server process and waits until it listens.
 *
 * @throws {ChdbServerError}
 */
export async function startChdbProcess(options: ChdbProcessOptions): Promise<ChdbProcess> {
  const child = spawn(process.execPath, [MAIN], {
    // The channel is how the process notices our death: the kernel closes it, however we die.
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: {
      ...process.env,
      CHDB_DATA_PATH: options.dataPath,
      CHDB_PORT: String(options.port),
      CHDB_USER: options.user,
      CHDB_PASSWORD: options.password,
      UV_THREADPOOL_SIZE: String(THREADPOOL_SIZE),
      CHDB_ENDS_WITH_PARENT: '1',
      TZ: 'UTC',
    },
  })
  const ended = once(child, 'exit').then(([exitCode, signal]) => ({ exitCode, signal }))
  const lastLines: string[] = []
  createInterface({ input: child.stderr! }).on('line', (line) => {
    lastLines.push(line)
    if (lastLines.length > LAST_LINES) lastLines.shift()
    options.log.warn({ pid: child.pid, line }, 'chdb server')
  })
  const giveUp = () => child.kill('SIGKILL')
  const timeout = setTimeout(giveUp, START_TIMEOUT_MS)
  options.signal.addEventListener('abort', giveUp)
  try {
    const port = await readPort(child)
    return { pid: child.pid!, port, ended, stop: () => stopProcess(child, ended) }
  } catch (error) {
    await ended
    throw withEngineReason(error, options.dataPath, lastLines)
  } finally {
    clearTimeout(timeout)
    options.signal.removeEventListener('abort', giveUp)
  }
}

type FirstLine = { port: number } | { error: { code: ChdbServerErrorCode; message: string } }

async function readPort(child: ChildProcess): Promise<number> {
  for await (const line of createInterface({ input: child.stdout! })) {
    const first: FirstLine = JSON.parse(line)
    if ('port' in first) return first.port
    throw new ChdbServerError(first.error.code, first.error.message)
  }
  throw new ChdbServerError('CHDB_START', 'The ClickHouse engine ended before it was ready')
}

/** The engine tells why it cannot open a folder only on stderr. */
function withEngineReason(error: unknown, dataPath: string, lastLines: string[]): unknown {
  if (!(error instanceof ChdbServerError) || error.code !== 'CHDB_START') return error
  const reason = lastLines.findLast((line) => line.startsWith('Code: '))
  if (reason?.includes('Cannot lock file')) {
    return new ChdbServerError(
      'CHDB_LOCKED',
      `The ClickHouse data folder ${dataPath} is held by another process. Stop that process, or use another folder.`,
      { cause: error },
    )
  }
  return new ChdbServerError(
    'CHDB_START',
    `The ClickHouse engine could not start on the data folder ${dataPath}: ${reason ?? error.message}`,
    { cause: error },
  )
}

async function stopProcess(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  child.kill('SIGTERM')
  const timeout = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
  await ended
  clearTimeout(timeout)
}
