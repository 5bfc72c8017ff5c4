import { setTimeout as delay } from 'node:timers/promises'
import { EventBatch } from './event-batch.ts'

export type BatchLimits = {
  /** How long a batch waits for more after its first event. */
  windowMs: number
  maxEvents: number
  maxBytes: number
}

export const defaultLimits: BatchLimits = { windowMs: 10, maxEvents: 40_000, maxBytes: 16 << 20 }

/** Batches on their way from the reader to the writer: one is filled while another is being written. */
export class BatchQueue {
  current = new EventBatch()
  readonly #limits: BatchLimits
  readonly #source: { pause(): void; resume(): void }
  readonly #sealed: EventBatch[] = []
  readonly #spare: EventBatch[] = []
  #paused = false
  #wake: (() => void) | undefined

  /** @param source is paused while two batches wait */
  constructor(limits: BatchLimits, source: { pause(): void; resume(): void }) {
    this.#limits = limits
    this.#source = source
  }

  /** Nothing waits here; what was taken may still be on its way. */
  get isEmpty(): boolean {
    return this.#sealed.length === 0 && this.current.isEmpty
  }

  get isPaused(): boolean {
    return this.#paused
  }

  /** Closes the current batch: what comes next stands in another one. */
  seal(): void {
    if (this.current.isEmpty) return
    this.#sealed.push(this.current)
    this.current = this.#spare.pop() ?? new EventBatch()
  }

  sealIfFull(): void {
    const { eventCount, length, heldBytes } = this.current
    const isFull = eventCount >= this.#limits.maxEvents || length + heldBytes >= this.#limits.maxBytes
    if (isFull) this.seal()
  }

  /** To be called once what has arrived is in. */
  arrived(): void {
    if (this.isEmpty) return
    this.#wake?.()
    if (this.#sealed.length >= 2 && !this.#paused) {
      this.#paused = true
      this.#source.pause()
    }
  }

  /** The next batch, once there is one. */
  async next(signal: AbortSignal): Promise<EventBatch> {
    while (this.isEmpty) {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const abort = () => reject(signal.reason)
      signal.throwIfAborted()
      signal.addEventListener('abort', abort, { once: true })
      this.#wake = resolve
      await promise.finally(() => signal.removeEventListener('abort', abort))
    }
    this.#wake = undefined
    if (this.#sealed.length === 0) {
      await delay(this.#limits.windowMs, undefined, { signal })
      if (this.#sealed.length === 0) this.seal()
    }
    const batch = this.#sealed.shift()!
    if (this.#paused && this.#sealed.length < 2) {
      this.#paused = false
      this.#source.resume()
    }
    return batch
  }

  /** Gives a batch back, so that its memory is used again. */
  recycle(batch: EventBatch): void {
    batch.reset()
    if (this.#spare.length < 3) this.#spare.push(batch)
  }
}
