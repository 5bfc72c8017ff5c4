import { setTimeout as delay } from 'node:timers/promises'
import type { Connection, NativeBinding } from './native-binding.ts'
import { ResultPipe } from './result-pipe.ts'
import { type StatementResult, type StatementSummary, statementSummary } from './statement.ts'
import { selectIntoFile } from './statement-text.ts'

/** How often a KILL is repeated: the first may come before the engine has registered the query. */
const KILL_INTERVAL_MS = 100

/** A SELECT whose result is read while it runs. Disposing of it stops it, if it has not ended. */
export class RunningSelect implements AsyncDisposable {
  readonly #pipe: ResultPipe
  readonly #outcome: Promise<StatementSummary>
  readonly #kill: () => Promise<void>
  #hasEnded = false
  #stopped: Promise<void> | undefined

  /** @param options `kill` asks the engine to stop the query; it may find none, or come too late. */
  constructor(
    native: NativeBinding,
    options: {
      connection: Connection
      sql: string
      format: string
      pipePath: string
      kill: () => Promise<void>
    },
  ) {
    const { connection, sql, format, pipePath, kill } = options
    this.#kill = kill
    this.#pipe = new ResultPipe(pipePath)
    this.#outcome = this.#run(native, connection, selectIntoFile(sql, pipePath, format), format)
    // Whoever reads the result meets its error; whoever stops reading has no use for it.
    this.#outcome.catch(() => {})
  }

  async #run(
    native: NativeBinding,
    connection: Connection,
    sql: string,
    format: string,
  ): Promise<StatementSummary> {
    try {
      return statementSummary(await native.QueryAsyncConnection(connection, sql, format))
    } finally {
      this.#hasEnded = true
      this.#pipe.endOfStatement()
    }
  }

  /**
   * The result, or its start and the rest of it. It ends early when the client goes away.
   *
   * @throws the engine's error, if it comes before the result's start has been handed out.
   */
  async readResult(options: {
    waitsForEnd: boolean
    signal: AbortSignal
  }): Promise<Pick<StatementResult, 'head' | 'rest' | 'summary'>> {
    options.signal.addEventListener('abort', () => this.#stop(), { once: true })
    if (options.signal.aborted) void this.#stop()
    const { head, ended } = await this.#pipe.readHead(
      options.waitsForEnd ? Number.POSITIVE_INFINITY : undefined,
    )
    if (!ended) return { head, rest: this.#rest(), summary: undefined }
    return { head, rest: undefined, summary: await this.#outcome }
  }

  async *#rest(): AsyncGenerator<Buffer> {
    yield* this.#pipe.rest()
    await this.#outcome
  }

  /** Lets a query go on that waits for its reader, and kills it, so that it ends whatever it is doing. */
  #stop(): Promise<void> {
    this.#pipe.discard()
    this.#stopped ??= this.#killUntilEnded().then(() => this.#pipe.close())
    return this.#stopped
  }

  async #killUntilEnded(): Promise<void> {
    const ended = this.#outcome.catch(() => {})
    while (!this.#hasEnded) {
      // A KILL that fails is tried again, as is one that comes too early.
      await this.#kill().catch(() => {})
      await Promise.race([ended, delay(KILL_INTERVAL_MS)])
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop()
  }
}
