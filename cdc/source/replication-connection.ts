import type { Duplex } from 'node:stream'
import pg from 'pg'
import { cdcErrors } from '../errors.ts'
import { connectTimeoutMs, pinnedSettings, unavailable } from './postgres-connection.ts'

/** An ErrorResponse of the server, with its SQLSTATE as `code`. */
export class ServerError extends pg.DatabaseError {
  constructor(message: string, code: string) {
    super(message, 0, 'error')
    this.code = code
  }
}

type MessageHandler = (message: Buffer, start: number, end: number) => void

export type ReplicationHandlers = {
  /** The payload of a CopyData message: XLogData or a keepalive. */
  copyData: MessageHandler
  /** All messages of a piece of the stream have been handled. */
  chunkEnd: () => void
  /** A NoticeResponse, as a warning that a publication is missing. */
  notice: (text: string) => void
}

/**
 * A connection in replication mode (docs, "Streaming Replication Protocol"). `pg` does login and TLS; from there on
 * the socket is read here, since `pg` reads no CopyBoth stream, and swallowed what came together with its start.
 */
export class ReplicationConnection {
  readonly #socket: Duplex
  #rest: Buffer | undefined
  #query:
    | { onRow: MessageHandler | undefined; resolve: () => void; reject: (error: Error) => void }
    | undefined
  #queryError: Error | undefined
  #handlers: ReplicationHandlers | undefined
  /** Rejects when the connection ends, whoever ended it. */
  readonly ended: Promise<never>
  #end: (error: Error) => void

  private constructor(socket: Duplex) {
    this.#socket = socket
    const { promise, reject } = Promise.withResolvers<never>()
    this.ended = promise
    this.#end = (error) => {
      this.#query?.reject(error)
      reject(error)
      socket.destroy()
    }
    promise.catch(() => {})
    socket.removeAllListeners('data')
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    socket.on('error', (cause) => this.#end(unavailable(cause)))
    socket.on('close', () => this.#end(cdcErrors.streamBroken('The CRM database closed the connection.')))
    socket.resume()
  }

  /** @throws TENDON-CDC-001 when it cannot be had, -002 when it cannot replicate, -032 when there are too many */
  static async open(crmUrl: string): Promise<ReplicationConnection> {
    const config = {
      connectionString: crmUrl,
      replication: 'database',
      application_name: 'tendon-cdc',
      connectionTimeoutMillis: connectTimeoutMs,
      keepAlive: true,
    }
    const client = new pg.Client(config) as pg.Client & { connection: { stream: Duplex } }
    client.on('error', () => {})
    try {
      await client.connect()
    } catch (cause) {
      throw refused(cause)
    }
    const connection = new ReplicationConnection(client.connection.stream)
    try {
      await connection.query(pinnedSettings)
    } catch (error) {
      connection.destroy()
      throw error
    }
    return connection
  }

  /**
   * Runs SQL, or a replication command, by the simple query protocol.
   * @param onRow gets each DataRow's position in a buffer that is only valid during the call
   * @throws ServerError
   */
  query(sql: string, onRow?: MessageHandler): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    if (this.#socket.destroyed) {
      reject(cdcErrors.streamBroken('The connection to the CRM database is closed.'))
      return promise
    }
    this.#query = { onRow, resolve, reject }
    this.#queryError = undefined
    this.#send(0x51 /* Q */, Buffer.from(`${sql}\0`))
    return promise
  }

  /** Runs a command that answers rows of text. */
  async queryRows(sql: string): Promise<(string | undefined)[][]> {
    const rows: (string | undefined)[][] = []
    await this.query(sql, (message, start) => {
      const row: (string | undefined)[] = []
      let at = start + 2
      for (let left = message.readUInt16BE(start); left > 0; left--) {
        const length = message.readInt32BE(at)
        at += 4
        row.push(length < 0 ? undefined : message.toString('utf8', at, at + length))
        at += Math.max(length, 0)
      }
      rows.push(row)
    })
    return rows
  }

  /** START_REPLICATION. Resolves once the stream is open; what comes then goes to the handlers. */
  startStream(sql: string, handlers: ReplicationHandlers): Promise<void> {
    this.#handlers = handlers
    return this.query(sql)
  }

  sendCopyData(payload: Buffer): void {
    if (!this.#socket.destroyed) this.#send(0x64 /* d */, payload)
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  /** Ends the connection at once. */
  destroy(): void {
    this.#end(cdcErrors.streamBroken('The feed closed the connection.'))
  }

  #send(type: number, payload: Buffer): void {
    const head = Buffer.allocUnsafe(5)
    head[0] = type
    head.writeUInt32BE(payload.length + 4, 1)
    this.#socket.write(Buffer.concat([head, payload]))
  }

  #receive(chunk: Buffer): void {
    const data = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk
    let at = 0
    try {
      while (data.length - at >= 5) {
        const end = at + 1 + data.readUInt32BE(at + 1)
        if (end > data.length) break
        this.#message(data, data[at]!, at + 5, end)
        at = end
      }
      this.#rest = at < data.length ? data.subarray(at) : undefined
      this.#handlers?.chunkEnd()
    } catch (error) {
      this.#end(error instanceof Error ? error : new Error(String(error)))
    }
  }

  #message(data: Buffer, type: number, start: number, end: number): void {
    switch (type) {
      case 0x64 /* d: CopyData */:
        this.#handlers?.copyData(data, start, end)
        return
      case 0x44 /* D: DataRow */:
        this.#query?.onRow?.(data, start, end)
        return
      case 0x57 /* W: CopyBothResponse */:
        this.#query?.resolve()
        this.#query = undefined
        return
      case 0x45 /* E: ErrorResponse */:
        {
          const error = serverError(data, start, end)
          if (!this.#query) throw error
          this.#queryError = error
          return
        }
      case 0x4e /* N: NoticeResponse */:
        this.#handlers?.notice(responseFields(data, start, end).get('M') ?? '')
        return
      case 0x5a /* Z: ReadyForQuery */:
        {
          const query = this.#query
          this.#query = undefined
          if (this.#queryError) query?.reject(this.#queryError)
          else query?.resolve()
        }
    }
  }
}

/** Why a connection that may replicate cannot be had, though others may. */
function refused(cause: unknown): Error {
  if (!(cause instanceof pg.DatabaseError)) return unavailable(cause)
  switch (cause.code) {
    case '42501' /* insufficient_privilege */:
      return cdcErrors.logicalDecodingOff('The user may not replicate.', { cause })
    case '53300' /* too_many_connections */:
      return cdcErrors.sourceFull('All connections that the feed could have are in use.', { cause })
    default:
      return unavailable(cause)
  }
}

function serverError(data: Buffer, start: number, end: number): ServerError {
  const fields = responseFields(data, start, end)
  return new ServerError(fields.get('M') ?? '', fields.get('C') ?? '')
}

/** Fields of an ErrorResponse or NoticeResponse by their letter (docs, "Error and Notice Message Fields"). */
function responseFields(data: Buffer, start: number, end: number): Map<string, string> {
  const fields = data
    .toString('utf8', start, end)
    .split('\0')
    .filter((field) => field !== '')
  return new Map(fields.map((field) => [field.charAt(0), field.slice(1)]))
}
