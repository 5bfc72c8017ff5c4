import type { Log } from '@tendon/platform/log.ts'
import pg from 'pg'
import { cdcErrors } from '../errors.ts'
import { formatLsn } from '../source/lsn.ts'
import type { ReplicationConnection } from '../source/replication-connection.ts'
import { slotError } from '../source/replication-slot.ts'
import type { Pipeline } from './feed-pipeline.ts'
import type { PgOutputDecoder } from './pgoutput-decoder.ts'

/** The server's wal_sender_timeout is 60 s unless set otherwise; it wants to hear from us at least that often. */
const statusIntervalMs = 5_000
/** The server answers each status; after this long without a word the connection is dead. */
const silenceMs = 60_000
/** How often the position is moved on while the source has nothing for us. */
const idleIntervalMs = 2_000
const postgresEpochMs = 946_684_800_000

const xLogData = 0x77
const keepalive = 0x6b

/** START_REPLICATION and what belongs to it: keepalives in, positions out. */
export class WalStream {
  readonly #connection: ReplicationConnection
  readonly #pipeline: Pipeline
  readonly #decoder: PgOutputDecoder
  readonly #isAwaited: () => boolean
  readonly #log: Log
  #timer: NodeJS.Timeout | undefined
  #acknowledged: bigint
  #received: bigint
  #heardAt = performance.now()
  #idleAt = 0

  constructor(options: {
    connection: ReplicationConnection
    pipeline: Pipeline
    decoder: PgOutputDecoder
    from: bigint
    /** Somebody waits for the feed to catch up. */
    isAwaited: () => boolean
    log: Log
  }) {
    this.#connection = options.connection
    this.#pipeline = options.pipeline
    this.#decoder = options.decoder
    this.#isAwaited = options.isAwaited
    this.#log = options.log
    this.#acknowledged = options.from
    this.#received = options.from
  }

  /** Resolves once the stream is open. @throws the coded errors of slots */
  async start(slotName: string, publicationName: string): Promise<void> {
    const publications = pg.escapeLiteral(pg.escapeIdentifier(publicationName))
    const options = `proto_version '1', publication_names ${publications}`
    const from = formatLsn(this.#acknowledged)
    try {
      await this.#connection.startStream(
        `START_REPLICATION SLOT "${slotName}" LOGICAL ${from} (${options})`,
        {
          copyData: (message, start, end) => this.#copyData(message, start, end),
          chunkEnd: () => this.#pipeline.queue.arrived(),
          notice: (text) => this.#notice(text),
        },
      )
    } catch (cause) {
      throw slotError(cause, slotName)
    }
    this.#timer = setInterval(() => this.#tick(), statusIntervalMs)
    this.#connection.ended.catch(() => clearInterval(this.#timer))
  }

  /** Tells the server that everything committed below a position need not be sent again. */
  acknowledge(lsn: bigint): void {
    if (lsn > this.#acknowledged) this.#acknowledged = lsn
    this.#sendStatus(false)
  }

  /** Asks the server how far its WAL has come. */
  askPosition(): void {
    this.#sendStatus(true)
  }

  #tick(): void {
    if (!this.#pipeline.queue.isPaused && performance.now() - this.#heardAt > silenceMs) {
      this.#log.warn({ silence_ms: silenceMs }, 'the CRM database is silent: connecting anew')
      this.#connection.destroy()
      return
    }
    this.#sendStatus(true)
  }

  #copyData(message: Buffer, start: number, end: number): void {
    this.#heardAt = performance.now()
    if (message[start] === xLogData) this.#decoder.xLogData(message, start, end)
    else if (message[start] === keepalive) this.#keepalive(message, start)
  }

  /** Everything up to the position in a keepalive has been sent, so that what was not for us is done with. */
  #keepalive(message: Buffer, start: number): void {
    const walEnd = message.readBigUInt64BE(start + 1)
    if (walEnd > this.#received) this.#received = walEnd
    const isDue = this.#isAwaited() || performance.now() - this.#idleAt > idleIntervalMs
    if (isDue && walEnd > this.#acknowledged && !this.#decoder.inTransaction && this.#pipeline.isIdle()) {
      this.#idleAt = performance.now()
      this.#pipeline.confirmation.addIdle(walEnd)
    }
    if (message[start + 17] === 1) this.#sendStatus(false)
  }

  /** From PostgreSQL 18 on, a missing publication is a warning, and its changes are passed over. */
  #notice(text: string): void {
    this.#log.warn({ postgres: text }, 'the CRM database warns')
    if (/publication/.test(text)) throw cdcErrors.schemaChanged(`The publication is not there: ${text}.`)
  }

  /** Standby status update (docs, "Streaming Replication Protocol"): written, flushed and applied positions. */
  #sendStatus(wantsReply: boolean): void {
    const status = Buffer.alloc(34)
    status[0] = 0x72
    status.writeBigUInt64BE(this.#received, 1)
    status.writeBigUInt64BE(this.#acknowledged, 9)
    status.writeBigUInt64BE(this.#acknowledged, 17)
    status.writeBigInt64BE(BigInt(Date.now() - postgresEpochMs) * 1000n, 25)
    status[33] = wantsReply ? 1 : 0
    this.#connection.sendCopyData(status)
  }
}
