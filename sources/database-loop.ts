import { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '@tendon/platform/log.ts'
import pg from 'pg'

export type DatabaseLoop = {
  start(): void
  /** Within about half a second: what is in flight by then is cut off. */
  stop(): Promise<void>
}

const reconnectMs = 500
const gracefulStopMs = 500

type Connection = { client: pg.Client; socket: Socket; isBroken(): boolean }

/**
 * Does `work` again and again on a connection of its own, `intervalMs` apart. What fails is logged once an
 * outage, and tried again on a new connection: a restart of the database is only a pause.
 */
export function createDatabaseLoop(options: {
  name: string
  url: string
  intervalMs: number
  log: Log
  work: (client: pg.Client) => Promise<void>
}): DatabaseLoop {
  const { name, url, intervalMs, log, work } = options
  const stopping = new AbortController()
  let connection: Connection | undefined
  let running: Promise<void> | undefined

  async function run(): Promise<void> {
    let isOut = false
    while (!stopping.signal.aborted) {
      try {
        if (connection === undefined) {
          connection = prepareConnection(url)
          await connection.client.connect()
        }
        await work(connection.client)
        if (isOut) log.info({ loop: name }, 'the database is back')
        isOut = false
      } catch (err) {
        if (stopping.signal.aborted) break
        if (!isOut) log.warn({ err, loop: name }, 'the database does not answer as it should; trying again')
        isOut = true
      }
      if (isOut || connection?.isBroken()) {
        connection?.socket.destroy()
        connection = undefined
      }
      await delay(isOut ? reconnectMs : intervalMs, undefined, { signal: stopping.signal }).catch(() => {})
    }
  }

  async function finish(): Promise<void> {
    await running
    await connection?.client.end()
  }

  return {
    start() {
      running ??= run()
    },
    async stop() {
      stopping.abort()
      const finished = finish().catch(() => {})
      await Promise.race([finished, delay(gracefulStopMs, undefined, { ref: false })])
      connection?.socket.destroy()
    },
  }
}

/** The socket is ours, because `pg` has no way to give up on a server that does not answer. */
function prepareConnection(url: string): Connection {
  const socket = new Socket()
  const client = new pg.Client({
    connectionString: url,
    application_name: 'tendon-simulator',
    connectionTimeoutMillis: 2_000,
    query_timeout: 5_000,
    stream: () => socket,
  })
  let broken = false
  client.on('error', () => {
    broken = true
  })
  return { client, socket, isBroken: () => broken }
}
