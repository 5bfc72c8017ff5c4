import { randomUUID } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { ChdbServerError } from './chdb-server-error.ts'
import { clickHouseException, toClickHouseException } from './clickhouse-exception.ts'
import { Connections } from './connections.ts'
import { type Connection, loadNativeBinding, type NativeBinding, READ_ONLY_CLASS } from './native-binding.ts'
import { receiveStatement } from './receive-statement.ts'
import { RunningSelect } from './running-select.ts'
import { Spool } from './spool.ts'
import { sqlLiteral } from './sql-literal.ts'
import { type Statement, type StatementResult, type StatementSummary, statementSummary } from './statement.ts'
import { applySettings, settingsUndo, statementSettings, TAG_SETTING } from './statement-settings.ts'
import { StatementSlots } from './statement-slots.ts'
import { isSelect, resultFormat, statementKeyword } from './statement-text.ts'

/** Runs statements on one data folder, in the libchdb of this process, which can hold only one folder. */
export class Engine {
  readonly #native: NativeBinding
  /** Holds the folder's lock, and the engine's tables and background work, for as long as it is open. */
  readonly #root: Connection
  readonly #connections: Connections
  readonly #spool: Spool
  readonly #slots: StatementSlots

  private constructor(
    native: NativeBinding,
    root: Connection,
    folder: string,
    spool: Spool,
    slots: StatementSlots,
  ) {
    this.#native = native
    this.#root = root
    this.#connections = new Connections(native, folder)
    this.#spool = spool
    this.#slots = slots
  }

  /**
   * Opens a data folder, or makes it.
   *
   * @param maxStatements how many statements may run at once; it must stay below the size of libuv's thread pool.
   * @throws {ChdbServerError}
   */
  static async open(dataPath: string, maxStatements: number): Promise<Engine> {
    const native = loadNativeBinding()
    const folder = resolve(dataPath)
    const root = await openRoot(native, folder)
    // Only once the folder is ours, so that no other server's files are touched.
    const spool = await Spool.create(join(folder, 'http-spool'))
    const slots = await StatementSlots.create(spool.folder, maxStatements)
    return new Engine(native, root, folder, spool, slots)
  }

  /**
   * Runs one statement. The result must be disposed of.
   *
   * @throws the engine's error, whose text is ClickHouse's own, or a {@link ClickHouseException}.
   */
  async run(statement: Statement): Promise<StatementResult> {
    await using held = new AsyncDisposableStack()
    const { sql, data } = await receiveStatement(statement.sql, statement.body, this.#spool)
    if (data) held.defer(data.remove)
    const slot = held.adopt(await this.#slots.acquire(), (acquired) => acquired.release())
    statement.signal.throwIfAborted()
    const lease = held.adopt(this.#connections.lease(statement.session), (leased) => leased.release())

    const readsOnly = await this.#checkStatement(lease.connection, sql, statement.isReadOnly)
    const tag = randomUUID()
    const settings = statementSettings(statement, tag)
    if (lease.isShared) held.defer(await settingsUndo(this.#native, lease.connection, settings))
    await applySettings(this.#native, lease.connection, settings)
    const format = resultFormat(sql, statement.defaultFormat)
    if (!readsOnly || !isSelect(sql)) {
      const output = await this.#execute(lease.connection, sql, format)
      return { format, ...output, rest: undefined, [Symbol.asyncDispose]: async () => {} }
    }
    const select = new RunningSelect(this.#native, {
      connection: lease.connection,
      sql,
      format,
      pipePath: slot.pipePath,
      kill: () => this.#kill(tag),
    })
    held.use(select)
    const { rest, ...output } = await select.readResult(statement)
    const kept = rest ? held.move() : undefined
    return {
      format,
      ...output,
      rest: rest && kept && disposedAtEnd(rest, kept),
      [Symbol.asyncDispose]: async () => kept?.disposeAsync(),
    }
  }

  /**
   * Lets exactly one statement pass, by the engine's own parser.
   *
   * @returns whether it only reads.
   */
  async #checkStatement(connection: Connection, sql: string, mustBeReadOnly: boolean): Promise<boolean> {
    const { statementCount, queryClass } = await this.#native.DurableClassifyAsync(connection, sql, 'default')
    if (statementCount > 1) {
      throw clickHouseException(62, 'Syntax error (Multi-statements are not allowed)')
    }
    // Never sent to the engine: it would run what stands before the error.
    if (statementCount === 0) throw await this.#syntaxError(connection, sql)
    const readsOnly = queryClass === READ_ONLY_CLASS
    if (mustBeReadOnly && !readsOnly) {
      throw clickHouseException(
        164,
        'Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly. You should use method POST for modifying queries',
      )
    }
    return readsOnly
  }

  /** The engine's own words on what is wrong, got by a function that parses a text and runs nothing. */
  async #syntaxError(connection: Connection, sql: string): Promise<Error> {
    try {
      await this.#native.QueryAsyncConnection(connection, `SELECT formatQuery(${sqlLiteral(sql)})`, 'Null')
    } catch (error) {
      const { message } = toClickHouseException(error)
      if (message.startsWith('Code: 62.')) {
        return new Error(message.replace(/: In scope SELECT formatQuery[\s\S]*$/, '. (SYNTAX_ERROR)'))
      }
    }
    return clickHouseException(62, 'Syntax error')
  }

  /** Runs any other statement to its end: as in ClickHouse, a client that goes away does not stop it. */
  async #execute(
    connection: Connection,
    sql: string,
    format: string,
  ): Promise<{ head: Buffer; summary: StatementSummary }> {
    const empty = Buffer.alloc(0)
    if (statementKeyword(sql) === 'INSERT') {
      const result = await this.#native.InsertRawAsyncConnection(connection, sql, empty, false)
      return { head: empty, summary: statementSummary(result) }
    }
    const result = await this.#native.QueryAsyncConnection(connection, sql, format)
    return { head: result.bytes, summary: statementSummary(result) }
  }

  /** ASYNC, because KILL … SYNC never returns in libchdb. */
  async #kill(tag: string): Promise<void> {
    const lease = this.#connections.lease(undefined)
    const sql = `KILL QUERY WHERE Settings['${TAG_SETTING}'] = ${sqlLiteral(tag)} ASYNC`
    try {
      await this.#native.QueryAsyncConnection(lease.connection, sql, 'Null')
    } finally {
      lease.release()
    }
  }

  /** Closes the folder. To be called once no statement runs. */
  async close(): Promise<void> {
    this.#connections.close()
    await this.#spool.close()
    this.#native.CloseConnection(this.#root)
  }
}

/** Frees what a statement holds before its result ends, or a client could find its session still busy. */
async function* disposedAtEnd(
  rest: AsyncIterable<Buffer>,
  held: AsyncDisposableStack,
): AsyncGenerator<Buffer> {
  try {
    yield* rest
  } finally {
    await held.disposeAsync()
  }
}

/** @throws {ChdbServerError} `CHDB_START`; the engine itself writes the reason to stderr. */
async function openRoot(native: NativeBinding, folder: string): Promise<Connection> {
  try {
    await mkdir(folder, { recursive: true })
    return native.CreateConnection(folder, [])
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new ChdbServerError('CHDB_START', `The ClickHouse data folder could not be opened: ${reason}`, {
      cause,
    })
  }
}
