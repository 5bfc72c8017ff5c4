import { Readable } from 'node:stream'
import { ClickHouseError, ClickHouseLogLevel, createClient, type ResultSet } from '@clickhouse/client'
import { z } from 'zod'
import { warehouseErrors } from './errors.ts'
import type { Query } from './query.ts'

export type WarehouseOptions = {
  /** `http://host:8123` */
  url: string
  username: string
  password: string
  /** Requests at the same time; further ones wait. */
  maxConnections?: number
}

/** ClickHouse as the services see it. Every method throws `warehouseErrors`, the engine's own error as cause. */
export type Warehouse = {
  /**
   * Runs a declared query. Parameters and rows are checked against its schemas.
   * @param limits.timeoutMs after this it has failed, and has ended at ClickHouse too
   */
  query<Params extends z.ZodType, Row extends z.ZodType>(
    query: Query<Params, Row>,
    params: z.input<Params>,
    limits?: { timeoutMs: number },
  ): Promise<z.output<Row>[]>
  /** Runs a statement without a result: DDL, INSERT … SELECT, ALTER. Binds are `{name:Type}`. */
  command(sql: string, params?: Record<string, unknown>): Promise<void>
  /**
   * Inserts rows that are in one of ClickHouse's formats already (JSONEachRow, RowBinary, ArrowStream, …).
   * The rows are visible, and stored, when the promise resolves.
   * @param columns all of the table's unless told
   */
  insertLines(table: string, data: Buffer | Readable, format: string, columns?: string[]): Promise<void>
  /** Inserts objects as JSON; 64-bit integers go in as strings of digits. */
  insertRows(table: string, rows: readonly Record<string, unknown>[]): Promise<void>
  /**
   * What a statement reads, as ClickHouse writes it: a line of JSON for each row, "nan" and "inf" in quotes, unless the statement
   * names a FORMAT. It begins when the statement has ended well; what would write is refused.
   */
  read(sql: string): Promise<Readable>
  /** Checks that the server answers within some seconds, and with these credentials. */
  ping(): Promise<void>
  close(): Promise<void>
}

const settings = {
  // Who reads a replacing table reads it with FINAL, and merges replace anyway: to do so in each insert too, and in that of
  // each view, is a quarter of what loading statistics costs ClickHouse.
  optimize_on_insert: 0,
  output_format_json_quote_64bit_integers: 1,
  date_time_output_format: 'iso',
  date_time_input_format: 'best_effort',
  // PostgreSQL lets a table have 1,600 columns with names of 63 bytes each: its replica's view is longer than 256 KiB.
  max_query_size: '16777216',
  max_ast_elements: '1000000',
  max_expanded_ast_elements: '1000000',
} as const

/** For the longest statements: filling a new replica from the whole log. */
const requestTimeoutMs = 300_000
const pingTimeoutMs = 5_000

/** Connects lazily: nothing is sent before the first statement. */
export function createWarehouse(options: WarehouseOptions): Warehouse {
  const client = createClient({
    url: options.url,
    username: options.username,
    password: options.password,
    request_timeout: requestTimeoutMs,
    max_open_connections: options.maxConnections ?? 10,
    clickhouse_settings: settings,
    // Lists of keys outgrow a URL.
    use_multipart_params_auto: true,
    // What goes wrong is thrown, and logged by whoever handles it.
    log: { level: ClickHouseLogLevel.OFF },
  })

  async function insertLines(
    table: string,
    data: Buffer | Readable,
    format: string,
    columns?: string[],
  ): Promise<void> {
    const columnList = columns ? ` (${columns.join(', ')})` : ''
    await explained(`insert into ${table}`, async () => {
      const result = await client.exec({
        query: `INSERT INTO ${table}${columnList} FORMAT ${format}`,
        values: data instanceof Readable ? data : Readable.from([data], { objectMode: false }),
      })
      // The socket returns to the pool only once its answer was read.
      for await (const _ of result.stream);
    })
  }

  return {
    async query(query, params, limits) {
      const rows = await explained(`query ${query.name}`, async () => {
        const signal = limits && AbortSignal.timeout(limits.timeoutMs)
        const result = await client.query({
          query: query.sql,
          query_params: z.record(z.string(), z.unknown()).parse(query.params.parse(params)),
          clickhouse_settings: { log_comment: query.name, ...(limits && timeSettings(limits.timeoutMs)) },
          ...(signal && { abort_signal: signal }),
          format: 'JSONEachRow',
        })
        return signal ? readWithin(result, signal) : result.json()
      })
      const parsed = z.array(query.row).safeParse(rows)
      if (!parsed.success) {
        const [issue] = parsed.error.issues
        const what = `${issue!.path.slice(1).join('.')}: ${issue!.message}`
        throw warehouseErrors.unexpectedRow(
          `The rows of query ${query.name} are not as declared (${what}).`,
          {
            cause: parsed.error,
          },
        )
      }
      return parsed.data
    },
    async command(sql, params = {}) {
      await explained('a statement', async () => {
        // A command's parameters go into the URL, however long; a query's do not.
        if (Object.values(params).some(Array.isArray)) {
          const answer = await client.query({ query: sql, query_params: params, format: 'JSONEachRow' })
          await answer.text()
        } else await client.command({ query: sql, query_params: params })
      })
    },
    insertLines,
    insertRows: (table, rows) =>
      insertLines(table, Buffer.from(rows.map((row) => `${JSON.stringify(row)}\n`).join('')), 'JSONEachRow'),
    async read(sql) {
      const settings = {
        default_format: 'JSONEachRow',
        // A person is to tell NaN from NULL: JSON has no number for it.
        output_format_json_quote_denormals: 1,
        readonly: '2',
        wait_end_of_query: 1,
      } as const
      return (
        await explained('the statement', () => client.exec({ query: sql, clickhouse_settings: settings }))
      ).stream
    },
    async ping() {
      await explained('ping', async () => {
        const result = await client.ping({ select: true, abort_signal: AbortSignal.timeout(pingTimeoutMs) })
        if (!result.success) throw result.error
      })
    },
    close: () => client.close(),
  }
}

/** The client heeds a signal only until the answer begins. */
async function readWithin(result: ResultSet<'JSONEachRow'>, signal: AbortSignal): Promise<unknown[]> {
  const overdue = Promise.withResolvers<never>()
  const end = () => {
    result.close()
    overdue.reject(signal.reason)
  }
  signal.addEventListener('abort', end)
  if (signal.aborted) end()
  try {
    return await Promise.race([result.json(), overdue.promise])
  } finally {
    signal.removeEventListener('abort', end)
  }
}

/**
 * The client closes the connection when the time is over, at which ClickHouse ends what only reads; where that goes
 * unnoticed (a proxy in between keeps it open), the query ends by its own clock.
 */
function timeSettings(timeoutMs: number) {
  return {
    readonly: '2',
    cancel_http_readonly_queries_on_client_close: 1,
    max_execution_time: timeoutMs / 1000,
  } as const
}

/** Turns what the client throws into a coded error; the engine's words stay in its cause. */
async function explained<Result>(what: string, run: () => Promise<Result>): Promise<Result> {
  try {
    return await run()
  } catch (cause) {
    if (cause instanceof z.ZodError) throw cause
    if (cause instanceof ClickHouseError) {
      throw warehouseErrors.statementFailed(`ClickHouse refused ${what} (${cause.type ?? cause.code}).`, {
        cause,
      })
    }
    throw warehouseErrors.unavailable(`ClickHouse could not be reached for ${what}.`, { cause })
  }
}

/**
 * ClickHouse's own number for what went wrong (`SELECT * FROM system.errors` names them).
 * @returns undefined when it was not ClickHouse that failed
 */
export function clickHouseErrorCode(error: unknown): number | undefined {
  const cause = error instanceof Error ? error.cause : undefined
  return cause instanceof ClickHouseError ? Number(cause.code) : undefined
}

/**
 * The table or database that ClickHouse says it does not know (UNKNOWN_TABLE, UNKNOWN_DATABASE), as it names it.
 * @returns undefined for any other error
 */
export function unknownTable(error: unknown): string | undefined {
  if (![60, 81].includes(clickHouseErrorCode(error) ?? 0)) return undefined
  const message = String((error as Error & { cause: Error }).cause.message)
  return /(?:identifier|Table|Database) [`']?([^\s`']+)/.exec(message)?.[1] ?? ''
}
