import type { Log } from './log.ts'
import { failAfter, within } from './within.ts'

export type Part = {
  start?(): Promise<unknown> | unknown
  stop?(): Promise<unknown> | unknown
}

export type Lifecycle = {
  /** Aborted as soon as anything asks for the stop: work that nothing else would end gives up by it. */
  stopping: AbortSignal
  /** Starts a part now; it will be stopped before everything that was started earlier. */
  start(name: string, part: Part): Promise<void>
  /**
   * Stops everything in reverse order, each part within the bound; safe to call twice.
   * @returns the names of those that did not stop
   */
  stop(): Promise<string[]>
}

/**
 * Starts parts in order and stops them in reverse. A part that does not stop within `stopTimeoutMs` is left
 * behind with a warning, so that one stuck part cannot keep the others from stopping.
 */
export function createLifecycle(options: { log: Log; stopTimeoutMs?: number }): Lifecycle {
  const { log, stopTimeoutMs = 8_000 } = options
  const entries: { name: string; part: Part; starting: Promise<unknown> }[] = []
  const stopping = new AbortController()
  let stopped: Promise<string[]> | undefined

  async function stopAll(): Promise<string[]> {
    const left: string[] = []
    for (let entry = entries.pop(); entry; entry = entries.pop()) {
      const { name, part, starting } = entry
      try {
        // What is still starting has nothing to stop yet, and would be left behind.
        const startedOrFailed = starting.catch(() => {})
        await within(
          startedOrFailed.then(() => part.stop?.()),
          stopTimeoutMs,
          failAfter(stopTimeoutMs),
        )
        log.debug({ part: name }, 'stopped')
      } catch (err) {
        log.warn({ err, part: name }, 'did not stop cleanly')
        left.push(name)
      }
    }
    return left
  }

  return {
    stopping: stopping.signal,
    async start(name, part) {
      if (stopped) throw new Error(`${name} is not started: everything is being stopped`)
      const startedAt = performance.now()
      // Entered before its start is done, so that a part that fails half way is stopped too.
      const starting = (async () => part.start?.())()
      entries.push({ name, part, starting })
      await starting
      log.debug({ part: name, duration_ms: Math.round(performance.now() - startedAt) }, 'started')
    },
    stop() {
      if (!stopped) {
        // Set before anything hears of it, and would ask for the stop again.
        stopped = Promise.resolve().then(stopAll)
        stopping.abort(new Error('everything is being stopped'))
      }
      return stopped
    },
  }
}

/** npm passes a Ctrl-C on to what it runs, which the terminal has told of it already: that is no second one. */
const sameSignalMs = 2_000

/**
 * Stops `lifecycle` on SIGTERM and SIGINT and ends the process: 0 when all stopped, 1 when a part did not, or not all
 * within `boundMs`. A second signal, more than two seconds after the first, ends it at once, with 1.
 * @param options.say for a person at a terminal, who does not see the log
 */
export function stopOnSignals(
  lifecycle: Lifecycle,
  options: { log: Log; boundMs?: number; say?: (text: string) => void },
): void {
  const { log, boundMs = 9_500, say = () => {} } = options
  let signalledAt: number | undefined
  const onSignal = (signal: NodeJS.Signals) => {
    if (signalledAt !== undefined) {
      if (performance.now() - signalledAt > sameSignalMs) process.exit(1)
      return
    }
    signalledAt = performance.now()
    log.info({ signal }, 'stopping')
    say('\nStopping (once more, two seconds from now, ends it at once) …')
    within(lifecycle.stop(), boundMs, failAfter(boundMs)).then(
      (left) => {
        say(left.length === 0 ? 'Stopped.' : `Did not stop: ${left.join(', ')}.`)
        process.exit(left.length === 0 ? 0 : 1)
      },
      (err) => {
        log.error({ err }, 'did not stop in time')
        say('Not all of it stopped in time.')
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
}
