import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import { type Dispatcher, errors } from 'undici'

/** Held while `admit` is asked; beyond it the service has to wait. */
const maxHeldBytes = 65_536

export type Head = { status: number; headers: Record<string, string> }

/** Nobody waits for the answer any more. */
export class ClientGone extends Error {}

/** An answer that was not passed on, as another may be had; whole, unless it was too much or too slow to be kept. */
export class HeldBack extends Error {
  answer: { status: number; headers: IncomingHttpHeaders; body: Buffer } | undefined
  constructor(answer?: { status: number; headers: IncomingHttpHeaders; body: Buffer }) {
    super('an instance of the service answers that it cannot')
    this.answer = answer
  }
}
/** How long an answer that is held back may take to be whole. */
const heldBackMs = 1_000

/** Takes a copy of an answer as it passes; `end` tells that it was whole. */
export type Recorder = { head(head: Head): void; chunk(chunk: Buffer): void; end(): void }

/** Up to here Node writes text without memory of its own for it (node:stream_base, `WriteString`). */
const maxTextBytes = 16_384

/**
 * Ends an answer with its last bytes. As text, Node joins them to the head, and both leave in one piece: 4 % of a request's CPU
 * less than as a buffer beside it (measured). Of Latin-1 each character is one byte.
 */
export function endWith(outgoing: ServerResponse, bytes: Buffer): void {
  if (bytes.length > maxTextBytes) outgoing.end(bytes)
  else outgoing.end(bytes.toString('latin1'), 'latin1')
}

export type Answer = {
  outgoing: ServerResponse
  /**
   * What is told to the browser; throws when the answer must not reach it. Asked again for each part of an answer that
   * comes in parts: the person may have signed out.
   */
  admit(status: number, headers: IncomingHttpHeaders): Promise<Head>
  recorder?: Recorder | undefined
  /** From the start to the answer's head, when no connection was at hand; undici's own bound begins with the sending. */
  headWithinMs?: number | undefined
  isHeldBack?: ((status: number) => boolean) | undefined
}

/**
 * Sends a request and passes its answer on as it comes, each as fast as the slower side takes it.
 *
 * Written against undici's dispatch and Node's response directly: web streams in between cost twice the CPU, and a
 * browser that leaves in the middle of one ended the process (measured).
 * @returns when the answer has been passed on whole
 * @throws `ClientGone`, `HeldBack`, what `admit` threw, or undici's error. `outgoing.headersSent` tells whether it can be answered
 */
export function passThrough(
  dispatch: (handler: Dispatcher.DispatchHandler) => void,
  { outgoing, admit, recorder, headWithinMs, isHeldBack }: Answer,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let controller: Dispatcher.DispatchController | undefined
    let answer: { status: number; headers: IncomingHttpHeaders } | undefined
    let isAsking = false
    let isEnded = false
    /** Passed on whole, or given up: what still comes is no part of an answer any more, and another may be under way. */
    let isSettled = false
    let held: Buffer[] = []
    let heldBytes = 0
    let isFull = false
    let holdsBack = false
    let timer: NodeJS.Timeout | undefined

    const onClose = () => {
      if (!outgoing.writableFinished) fail(new ClientGone('the client has left'))
    }
    outgoing.once('close', onClose)

    function fail(error: Error): void {
      if (isSettled) return
      isSettled = true
      clearTimeout(timer)
      outgoing.off('close', onClose)
      reject(error)
      if (!isEnded) controller?.abort(error)
    }

    async function ask(): Promise<void> {
      if (!answer || isAsking) return
      isAsking = true
      const head = await admit(answer.status, answer.headers)
      isAsking = false
      if (isSettled || outgoing.destroyed) return
      if (!outgoing.headersSent) {
        outgoing.writeHead(head.status, head.headers)
        recorder?.head(head)
      }
      flush()
    }

    function flush(): void {
      const chunks = held
      held = []
      heldBytes = 0
      for (const chunk of chunks) recorder?.chunk(chunk)
      for (const chunk of chunks.slice(0, isEnded ? -1 : undefined)) outgoing.write(chunk)
      if (isEnded) end(chunks.at(-1))
      else if (!outgoing.writableNeedDrain) controller?.resume()
      else if (!isFull) {
        isFull = true
        outgoing.once('drain', () => {
          isFull = false
          controller?.resume()
        })
      }
    }

    function end(lastChunk?: Buffer): void {
      isSettled = true
      outgoing.off('close', onClose)
      if (lastChunk) endWith(outgoing, lastChunk)
      else outgoing.end()
      recorder?.end()
      resolve()
    }

    dispatch({
      onRequestStart(started) {
        controller = started
        if (isSettled || outgoing.destroyed) started.abort(new ClientGone('nobody waits any more'))
      },
      onResponseStart(_controller, status, headers) {
        // RFC 9110 §15.2: the final answer follows. (Of 100 undici ends the exchange itself, for it never asks for one.)
        if (status < 200) return
        if (timer) clearTimeout(timer)
        answer = { status, headers }
        holdsBack = isHeldBack?.(status) ?? false
        if (holdsBack) timer = setTimeout(() => fail(new HeldBack()), heldBackMs)
        else ask().catch(fail)
      },
      onResponseData(started, chunk) {
        if (isSettled) return
        held.push(chunk)
        heldBytes += chunk.length
        if (holdsBack) {
          if (heldBytes > maxHeldBytes) fail(new HeldBack())
          return
        }
        // A reader that has not taken what came before has to be waited for.
        if (heldBytes > maxHeldBytes || outgoing.writableNeedDrain) started.pause()
        ask().catch(fail)
      },
      onResponseEnd() {
        isEnded = true
        if (isSettled) return
        if (holdsBack) fail(new HeldBack({ ...answer!, body: Buffer.concat(held) }))
        else if (!isAsking && held.length === 0) end()
      },
      onResponseError: (_controller, error) => fail(error),
    })
    // undici's own times count from when there is a connection, in steps of half a second.
    if (!isSettled && !answer && headWithinMs !== undefined)
      timer = setTimeout(() => fail(new errors.HeadersTimeoutError()), headWithinMs)
  })
}
