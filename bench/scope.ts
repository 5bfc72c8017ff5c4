import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'

type Close = () => Promise<unknown> | unknown

/** What a case has started and made, in order. */
export class Scope {
  readonly #closers: Close[] = []

  /** Calls `close` when the scope is closed, before everything that was deferred earlier. */
  defer(close: Close): void {
    this.#closers.push(close)
  }

  /** A folder in the system's place for temporary ones, removed with all that is in it. */
  temporaryFolder(): string {
    // At once: between making it and taking it on, the scope could be closed.
    const folder = mkdtempSync(join(tmpdir(), 'tendon-bench-'))
    this.defer(() => rm(folder, { recursive: true, force: true }))
    return folder
  }

  async connect(url: string): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: url, application_name: 'tendon-bench' })
    // A server that is stopped before its clients breaks their connections; the query under way says so too.
    client.on('error', () => {})
    await client.connect()
    this.defer(() => client.end())
    return client
  }

  /**
   * Closes everything, also when something fails to close. May be called again: a case that was ended half way
   * can have started one thing more meanwhile.
   * @returns why some of it did not close
   */
  async close(): Promise<unknown[]> {
    const failures: unknown[] = []
    for (let close = this.#closers.pop(); close; close = this.#closers.pop()) {
      try {
        await close()
      } catch (error) {
        failures.push(error)
      }
    }
    return failures
  }
}
