import { openSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { bufferedLines, createLog, type Log } from '@tendon/platform/log.ts'
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
  const destination = bufferedLines(openSync(path, 'a'))
  return (service) => createLog({ service, level }, destination)
}
