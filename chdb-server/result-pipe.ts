import { once } from 'node:events'
import { closeSync, constants, openSync } from 'node:fs'
import { Socket } from 'node:net'

/**
 * The start of a result is held back up to this size, so that an early error can still be an HTTP status. The
 * engine itself writes only when its buffer of 1 MiB is full, or at the end.
 */
const HEAD_BYTES = 65_536

/**
 * The reading end of a named pipe into which the engine writes a result (INTO OUTFILE).
 *
 * It streams every format, holds back the engine when the client is slow, and took a third of the time of the
 * addon's own buffered result (120 MB: 0.54 s instead of 1.63 s).
 */
export class ResultPipe {
  readonly #socket: Socket
  #keeper: number | undefined

  constructor(path: string) {
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    // A second writer of our own keeps the pipe from ending before the engine has opened it, and makes it end
    // when the statement failed before opening it.
    this.#keeper = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
    this.#socket = new Socket({ fd: reader, readable: true, writable: false })
    // Errors are those of the statement, which its own promise tells.
    this.#socket.on('error', () => {})
  }

  /** Lets the reader see the end of the result once it has read all of it. To be called when the statement ended. */
  endOfStatement(): void {
    if (this.#keeper !== undefined) closeSync(this.#keeper)
    this.#keeper = undefined
  }

  /** Reads the start of the result. `ended` says that this was all of it. */
  readHead(maxBytes = HEAD_BYTES): Promise<{ head: Buffer; ended: boolean }> {
    const chunks: Buffer[] = []
    let size = 0
    return new Promise((resolve) => {
      const finish = (ended: boolean) => {
        this.#socket.off('data', onData).off('close', onClose).pause()
        resolve({ head: Buffer.concat(chunks, size), ended })
      }
      const onData = (chunk: Buffer) => {
        chunks.push(chunk)
        size += chunk.length
        if (size >= maxBytes) finish(false)
      }
      const onClose = () => finish(true)
      this.#socket.on('data', onData).on('close', onClose)
    })
  }

  /** The result after its start. */
  rest(): AsyncIterable<Buffer> {
    return this.#socket
  }

  /**
   * Throws away what is still to come. The reading end has to stay open until the statement has ended: the engine
   * would wait for ever in opening a pipe that nobody reads, where no KILL reaches it.
   */
  discard(): void {
    this.#socket.resume()
  }

  /** Reads up to the end of an ended statement, so that whoever uses the pipe next finds it empty and closed. */
  async close(): Promise<void> {
    this.endOfStatement()
    if (this.#socket.closed) return
    const closed = once(this.#socket, 'close')
    this.discard()
    await closed
  }
}
