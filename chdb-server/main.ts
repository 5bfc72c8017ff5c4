import { ChdbServerError } from './chdb-server-error.ts'
import { Engine } from './engine.ts'
import { startHttpServer } from './http-server.ts'

/** How long statements under way may take to end when the server is told to stop. */
const DRAIN_MS = 3_000
/** Threads of libuv's pool that statements leave to KILL and to file operations. */
const SPARE_THREADS = 4

// The parent's death closes the channel to it, however it died. The engine needs no farewell (what it has
// acknowledged is on disk), and anything less abrupt could keep the data folder locked while a query runs.
const endsWithParent = process.env.CHDB_ENDS_WITH_PARENT === '1'
const endNow = () => process.kill(process.pid, 'SIGKILL')
if (endsWithParent && !process.connected) endNow()
process.on('disconnect', endNow)

/** One JSON line on stdout is all that the parent reads: `{"port"}`, or `{"error": {"code", "message"}}`. */
function report(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

async function main(): Promise<void> {
  const { CHDB_DATA_PATH, CHDB_PORT, CHDB_USER, CHDB_PASSWORD, UV_THREADPOOL_SIZE } = process.env
  if (!CHDB_DATA_PATH || !CHDB_PASSWORD) {
    throw new ChdbServerError(
      'CHDB_START',
      'Set CHDB_DATA_PATH and CHDB_PASSWORD (and CHDB_PORT, CHDB_USER).',
    )
  }
  // Node makes the pool before any code of ours runs, so that only whoever starts the process can set its size.
  const maxStatements = Math.max(1, Number(UV_THREADPOOL_SIZE ?? 4) - SPARE_THREADS)
  const engine = await Engine.open(CHDB_DATA_PATH, maxStatements)
  const server = await startHttpServer(engine, {
    port: Number(CHDB_PORT ?? 0),
    credentials: { user: CHDB_USER ?? 'default', password: CHDB_PASSWORD },
  })

  const stop = async () => {
    setTimeout(endNow, DRAIN_MS).unref()
    await server.close()
    await engine.close()
    process.exit(0)
  }
  process.once('SIGTERM', stop)
  // Ctrl-C reaches the whole process group; a parent first stops what still writes here, then sends SIGTERM.
  process.on('SIGINT', () => {
    if (!endsWithParent) void stop()
  })
  report({ port: server.port })
}

main().catch((error: unknown) => {
  const message = error instanceof Error ? error.message : String(error)
  report({ error: { code: error instanceof ChdbServerError ? error.code : 'CHDB_START', message } })
  process.exit(1)
})
