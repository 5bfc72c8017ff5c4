import { clickHouseException } from './clickhouse-exception.ts'
import type { Connection, NativeBinding } from './native-binding.ts'

/** A connection for one statement, and what to do with it afterwards. */
export type ConnectionLease = {
  connection: Connection
  /** True where what one statement leaves behind would be met by the next. */
  isShared: boolean
  release(): void
}

type NamedSession = { connection: Connection; isBusy: boolean; expiry: NodeJS.Timeout | undefined }

const ENGINE_ARGUMENTS = [
  // Or the engine would take a lone expression such as `1` for a SELECT, which a server refuses.
  '--implicit_select=0',
  // For the SET that carries a request's parameters, which a server does not parse; see statement-settings.ts.
  `--max_query_size=${2 ** 30}`,
]

/**
 * The connections to one data folder: a fresh one for each statement, so that nothing leaks into the next (SET,
 * USE, temporary tables, the bytes of a failed result), and a kept one for each `session_id`.
 * Opening and closing takes 0.07 ms.
 */
export class Connections {
  readonly #native: NativeBinding
  readonly #dataPath: string
  readonly #sessions = new Map<string, NamedSession>()

  constructor(native: NativeBinding, dataPath: string) {
    this.#native = native
    this.#dataPath = dataPath
  }

  /** @throws {ClickHouseException} 373 when a statement of the same session is still running. */
  lease(session: { id: string; timeoutMs: number } | undefined): ConnectionLease {
    if (session) return this.#leaseNamed(session.id, session.timeoutMs)
    const connection = this.#open()
    return { connection, isShared: false, release: () => this.#native.CloseConnection(connection) }
  }

  #leaseNamed(id: string, timeoutMs: number): ConnectionLease {
    const session = this.#sessions.get(id) ?? { connection: this.#open(), isBusy: false, expiry: undefined }
    if (session.isBusy) throw clickHouseException(373, `Session ${id} is locked by a concurrent client`)
    session.isBusy = true
    clearTimeout(session.expiry)
    this.#sessions.set(id, session)
    const release = () => {
      session.isBusy = false
      session.expiry = setTimeout(() => this.#end(id, session), timeoutMs).unref()
    }
    return { connection: session.connection, isShared: true, release }
  }

  #end(id: string, session: NamedSession): void {
    this.#sessions.delete(id)
    this.#native.CloseConnection(session.connection)
  }

  #open(): Connection {
    return this.#native.CreateConnection(this.#dataPath, ENGINE_ARGUMENTS)
  }

  /** Ends every session that no statement runs in. */
  close(): void {
    for (const [id, session] of this.#sessions) {
      clearTimeout(session.expiry)
      if (!session.isBusy) this.#end(id, session)
    }
  }
}
