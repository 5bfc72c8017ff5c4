import type { Head, Recorder } from './pass-through.ts'

/** Larger answers pass, but are not kept for those who wait. */
const maxKeptBytes = 1_048_576

export type Recording = Head & { body: Buffer }

/** Either one goes and asks, or waits for what the one who asks gets: undefined when it must ask by itself. */
type Turn =
  | { asks: true; recorder: Recorder; done(isWhole: boolean): void }
  | { asks: false; recording: Promise<Recording | undefined> }

/**
 * Requests for the same thing at the same time become one: whoever comes while one is under way gets a copy of its
 * answer. The key must hold everything that the answer depends on, who asks above all.
 */
export function createCoalescing() {
  const underWay = new Map<string, Promise<Recording | undefined>>()

  return (key: string): Turn => {
    const known = underWay.get(key)
    if (known) return { asks: false, recording: known }
    const { promise, resolve } = Promise.withResolvers<Recording | undefined>()
    underWay.set(key, promise)
    let head: Head | undefined
    let chunks: Buffer[] = []
    let bytes = 0
    return {
      asks: true,
      recorder: {
        head(told) {
          head = told
        },
        chunk(chunk) {
          bytes += chunk.length
          if (bytes <= maxKeptBytes) chunks.push(chunk)
          else chunks = []
        },
      },
      done(isWhole) {
        underWay.delete(key)
        const isKept = isWhole && head && bytes <= maxKeptBytes
        resolve(isKept && head ? { ...head, body: Buffer.concat(chunks) } : undefined)
      },
    }
  }
}
