import pg from 'pg'
import { etlErrors } from '../errors.ts'

/** The connections of one run: none outlives it, and it does not outlive the first of them that breaks. */
export function createConnections(url: string) {
  const open: pg.Client[] = []
  const broke = new AbortController()
  return {
    broken: broke.signal,
    async connect(): Promise<pg.Client> {
      const client = new pg.Client({
        connectionString: url,
        application_name: 'tendon-etl',
        connectionTimeoutMillis: 10_000,
        keepAlive: true,
        // A machine that is gone says nothing: its lock falls within a minute, and not after two hours.
        options: '-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3',
      })
      client.on('error', (cause) => {
        broke.abort(etlErrors.lockLost('The telemetry database ended a connection of the run.', { cause }))
      })
      await client.connect().catch((cause: unknown) => {
        throw etlErrors.telemetryUnavailable('The telemetry database did not accept a connection.', { cause })
      })
      open.push(client)
      return client
    },
    breakAll(reason: Error) {
      broke.abort(reason)
      for (const client of open) client.connection.stream.destroy()
    },
    async endAll() {
      // A connection that broke has nothing left to end.
      await Promise.all(open.map((client) => client.end().catch(() => {})))
    },
  }
}
