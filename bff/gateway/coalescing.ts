import type { Head, Recorder } from './pass-through.ts'

/** Larger answers pass, but are not kept for those who wait. */
const maxKeptBytes = 1_048_576

export type Recording = Head & { body: Buffer }

/**
 * Either one asks, as soon as the question before it is answered, or waits for what the one who asks gets: undefined
 * when it must ask by itself.
 */
type Turn =
  | {
      asks: true
      before: Promise<unknown> | undefined
      /** From here on nobody joins. @returns what keeps the answer, when somebody waits for it */
      begin(): Recorder | undefined
      done(): void
    }
  | { asks: false; recording: Promise<Recording | undefined> }

type Question = { recording: Promise<Recording | undefined>; isAwaited: boolean; next?: Question }

/**
 * Requests for the same thing at the same time become few: while one is under way, all that come wait for it to end, or
 * for as long as they have patience, and are then asked as one. The key must hold everything that the answer depends
 * on, who asks above all.
 *
 * Nobody is given an answer that was asked for before they came: it may have been made before something that they know
 * of, as that a report was invalidated.
 */
export function createCoalescing() {
  const underWay = new Map<string, Question>()

  return (key: string): Turn => {
    const current = underWay.get(key)
    if (current?.next) {
      current.next.isAwaited = true
      return { asks: false, recording: current.next.recording }
    }
    const { promise, resolve } = Promise.withResolvers<Recording | undefined>()
    const own: Question = { recording: promise, isAwaited: false }
    if (current) current.next = own
    else underWay.set(key, own)
    let recorder: ReturnType<typeof createRecorder> | undefined
    return {
      asks: true,
      before: current?.recording,
      begin() {
        // Also before the one before it has ended: who comes from now on waits for this one.
        underWay.set(key, own)
        if (own.isAwaited) recorder = createRecorder()
        return recorder
      },
      done() {
        if (underWay.get(key) === own) {
          if (own.next) underWay.set(key, own.next)
          else underWay.delete(key)
        }
        resolve(recorder?.recording())
      },
    }
  }
}

function createRecorder(): Recorder & { recording(): Recording | undefined } {
  let head: Head | undefined
  let chunks: Buffer[] = []
  let bytes = 0
  let isWhole = false
  return {
    head(told) {
      head = told
    },
    chunk(chunk) {
      bytes += chunk.length
      if (bytes <= maxKeptBytes) chunks.push(chunk)
      else chunks = []
    },
    end() {
      isWhole = true
    },
    recording: () =>
      head && isWhole && bytes <= maxKeptBytes ? { ...head, body: Buffer.concat(chunks) } : undefined,
  }
}
