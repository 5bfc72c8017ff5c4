import { renameSync } from 'node:fs'
import { join } from 'node:path'
import { createLog, type Log } from '@tendon/platform/log.ts'
import pino from 'pino'
import type { EmbeddedConfig } from './options.ts'

/** The log of one service. */
export type LogFor = (service: string) => Log

/** All services write to one file. The log of the run before is kept beside it: it may say why that one ended. */
export function openLogFile(folder: string, level: EmbeddedConfig['logLevel']): LogFor {
  const path = join(folder, 'tendon.log')
  try {
    renameSync(path, join(folder, 'tendon.previous.log'))
  } catch {
    // There was none.
  }
  // Written at once: a start that fails ends the process at once too, and its last lines matter most.
  const destination = pino.destination({ dest: path, sync: true })
  return (service) => createLog({ service, level }, destination)
}
