import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ClickHouseClient, ClickHouseLogLevel, createClient } from '@clickhouse/client'
import { afterAll } from 'vitest'
import { type ChdbServer, startChdbServer } from './start-chdb-server.ts'

/** A server on a folder of its own for the tests of one file, and what they ask it with. */
export type TestServer = {
  server: ChdbServer
  dataPath: string
  client: ClickHouseClient
  /** A further client, closed with the rest. */
  createClient(options?: Parameters<typeof createClient>[0]): ClickHouseClient
  /** The rows of a query. */
  rows(query: string, options?: QueryOptions): Promise<unknown[]>
  /** Makes a MergeTree table of the given columns, ordered by the first. Returns its name. */
  createTable(columns: string, settings?: string): Promise<string>
  /** An HTTP request past the client, with the right user and password. */
  request(search: Record<string, string> | string, init?: RequestInit): Promise<Response>
}

type QueryOptions = Omit<Parameters<ClickHouseClient['query']>[0], 'query' | 'format'> & {
  client?: ClickHouseClient
}

/** Starts a server that ends, with its folder, after the file's last test. */
export async function startTestServer(): Promise<TestServer> {
  const dataPath = await mkdtemp(join(tmpdir(), 'chdb-server-'))
  const server = await startChdbServer({ dataPath })
  const clients: ClickHouseClient[] = []
  const newClient: TestServer['createClient'] = (options = {}) => {
    const { url, username, password } = server
    const client = createClient({
      url,
      username,
      password,
      log: { level: ClickHouseLogLevel.OFF },
      ...options,
    })
    clients.push(client)
    return client
  }
  const client = newClient()
  afterAll(async () => {
    await Promise.all(clients.map((open) => open.close()))
    await server.stop()
    await rm(dataPath, { recursive: true })
  })
  let tables = 0
  return {
    server,
    dataPath,
    client,
    createClient: newClient,
    rows: async (query, { client: asked = client, ...options } = {}) =>
      (await asked.query({ query, format: 'JSONEachRow', ...options })).json(),
    createTable: async (columns, settings = '') => {
      const table = `t${++tables}`
      const orderBy = columns.split(' ', 1)[0]
      await client.command({
        query: `CREATE TABLE ${table} (${columns}) ENGINE = MergeTree ORDER BY ${orderBy} ${settings}`,
      })
      return table
    },
    request: (search, init = {}) =>
      fetch(`${server.url}/?${typeof search === 'string' ? search : new URLSearchParams(search)}`, {
        ...init,
        headers: {
          'X-ClickHouse-User': server.username,
          'X-ClickHouse-Key': server.password,
          ...init.headers,
        },
      }),
  }
}
