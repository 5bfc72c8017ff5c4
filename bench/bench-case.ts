import type { Log } from '@tendon/platform/log.ts'
import type { Measurement, ServerVersions } from './results.ts'
import type { Scope } from './scope.ts'

export type BenchContext = {
  /** Whatever the case starts or makes is handed to it, and is gone when the case ends, however it ends. */
  scope: Scope
  log: Log
  /** Tells whoever watches what is going on. */
  say(text: string): void
}

export type BenchCase = {
  name: string
  /** One line for `--help` and above the table. */
  title: string
  /** After this long the case is ended, and counts as failed. */
  timeoutMs: number
  /** Variables that say where its servers are; without them it runs only when it is asked for by name. */
  needs?: readonly string[]
  run(context: BenchContext): Promise<{ measurements: Measurement[]; servers: ServerVersions }>
}
