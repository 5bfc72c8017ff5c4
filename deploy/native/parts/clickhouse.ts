import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { answers, type Part, portOf, runFolder } from '../part.ts'

const port = portOf(18_123)
const credentials = { user: 'tendon', password: 'tendon-on-loopback' }

/** The real engine behind ClickHouse's HTTP interface: no registry has the server itself. */
export const clickhouse: Part = {
  name: 'clickhouse',
  port,
  prepare: () => ({
    program: process.execPath,
    args: [fileURLToPath(import.meta.resolve('@tendon/chdb-server/main.ts'))],
    env: {
      CHDB_DATA_PATH: join(runFolder, 'clickhouse'),
      CHDB_PORT: String(port),
      CHDB_USER: credentials.user,
      CHDB_PASSWORD: credentials.password,
      // Sixteen statements at once, and what the server keeps for itself.
      UV_THREADPOOL_SIZE: '20',
      TZ: 'UTC',
    },
  }),
  ready: () => answers(`http://127.0.0.1:${port}/ping`),
  exports: () => ({
    CLICKHOUSE_URL: `http://127.0.0.1:${port}`,
    CLICKHOUSE_USER: credentials.user,
    CLICKHOUSE_PASSWORD: credentials.password,
  }),
}
