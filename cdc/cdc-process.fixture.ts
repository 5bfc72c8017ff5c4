import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { promisify } from 'node:util'

type Settings = Record<string, string>

/** What names a world's feed, its source and its warehouse to a process. */
export const settingsOf = (
  world: { url: string; slotName: string; publicationName: string },
  clickHouse: { url: string; username: string; password: string },
): Settings => ({
  CRM_DATABASE_URL: world.url,
  CDC_SLOT: world.slotName,
  CDC_PUBLICATION: world.publicationName,
  CLICKHOUSE_URL: clickHouse.url,
  CLICKHOUSE_USER: clickHouse.username,
  CLICKHOUSE_PASSWORD: clickHouse.password,
})

const program = (name: string) => join(import.meta.dirname, name)
/** What was compiled for one process is read by the next, as `npm run cdc` has it: 0.3 CPU seconds of each. */
const environment = (settings: Settings) => {
  const { PATH = '', NODE_COMPILE_CACHE = '' } = process.env
  return { PATH, NODE_COMPILE_CACHE, ...settings }
}

export type Outcome = { code: number; stdout: string; stderr: string }

/** Runs a command of `npm run cdc`. @param settings as environment variables, and no others are passed on */
export async function runCli(settings: Settings, ...argv: string[]): Promise<Outcome> {
  const env = environment(settings)
  return promisify(execFile)(process.execPath, [program('cli.ts'), ...argv], { env }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (failure: Outcome) => failure,
  )
}

export type ServiceProcess = {
  /** `kill -9`. @throws when it has ended by itself */
  kill(): Promise<void>
  /** As an operator stops it. @returns the exit code */
  stop(): Promise<number | null>
}

/** The service as it runs in production: `node cdc/main.ts`. */
export function startService(settings: Settings): ServiceProcess {
  const child = spawn(process.execPath, [program('main.ts')], {
    env: environment({
      PORT: '0',
      LOG_LEVEL: process.env.CDC_TEST_LOG === '1' ? 'debug' : 'fatal',
      ...settings,
    }),
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const exited = once(child, 'exit')
  async function end(signal: NodeJS.Signals): Promise<number | null> {
    if (child.exitCode !== null)
      throw new Error(`the service has ended by itself, exit code ${child.exitCode}`)
    child.kill(signal)
    return (await exited)[0]
  }
  return {
    async kill() {
      await end('SIGKILL')
    },
    stop: () => end('SIGTERM'),
  }
}
