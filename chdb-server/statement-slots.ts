import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** The right to run one statement, with the named pipe that its result travels through. */
export type StatementSlot = { pipePath: string; release(): void }

/**
 * Bounds how many statements run at once, first come, first served.
 *
 * Each running statement holds one thread of libuv's pool until it ends. If they could take all of them, the KILL
 * that is to stop one, and every file operation, would wait for them.
 */
export class StatementSlots {
  readonly #freePipes: string[]
  readonly #waiting: ((pipePath: string) => void)[] = []

  private constructor(pipePaths: string[]) {
    this.#freePipes = pipePaths
  }

  /** Makes `count` slots, with their named pipes in `folder`. */
  static async create(folder: string, count: number): Promise<StatementSlots> {
    const pipePaths = Array.from({ length: count }, (_, index) => join(folder, `result-${index}`))
    // Node has no call for mkfifo(3); the command is part of every POSIX system.
    await promisify(execFile)('mkfifo', ['-m', '600', ...pipePaths])
    return new StatementSlots(pipePaths)
  }

  async acquire(): Promise<StatementSlot> {
    const pipePath =
      this.#freePipes.pop() ?? (await new Promise<string>((resolve) => this.#waiting.push(resolve)))
    return { pipePath, release: () => this.#release(pipePath) }
  }

  #release(pipePath: string): void {
    const next = this.#waiting.shift()
    if (next) next(pipePath)
    else this.#freePipes.push(pipePath)
  }
}
