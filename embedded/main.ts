import { renameSync } from 'node:fs'
import { join, relative } from 'node:path'
import { helpText } from '@tendon/platform/config.ts'
import { createLifecycle, stopOnSignals } from '@tendon/platform/lifecycle.ts'
import { createLog } from '@tendon/platform/log.ts'
import { endWith } from '@tendon/platform/process-config.ts'
import { demoPeople } from '@tendon/sources/demo-people.ts'
import pino from 'pino'
import { type DataFolder, openDataFolder } from './data-folder.ts'
import { type EmbeddedConfig, embeddedOptions, readEmbeddedConfig } from './options.ts'
import { createTerminalProgress } from './progress.ts'
import { type LogFor, startTendon } from './start-tendon.ts'

const argv = process.argv.slice(2)
const say = (text: string) => process.stdout.write(`${text}\n`)

if (argv.includes('--help')) {
  say(helpText('npm start -- [options]', embeddedOptions))
  say('Exit codes: 0 stopped as asked, 1 something failed (its code is said), 64 the options are wrong.')
  process.exit(0)
}

try {
  const config = readEmbeddedConfig({ env: process.env, argv })
  const folder = await openDataFolder(config.data, { reset: config.reset })
  await run(config, folder)
} catch (error) {
  endWith(error)
}

async function run(config: EmbeddedConfig, folder: DataFolder): Promise<void> {
  const logFor = openLog(config, folder)
  const log = logFor('tendon')
  const lifecycle = createLifecycle({ log })
  await lifecycle.start('data folder', { stop: () => folder.release() })
  stopOnSignals(lifecycle, { log })
  const where = relative(process.cwd(), folder.path) || folder.path
  say(`Tendon: data in ${where}, log in ${join(where, 'tendon.log')}`)
  try {
    const progress = createTerminalProgress(process.stdout)
    const { url } = await startTendon(config, { folder, lifecycle, logFor, progress })
    say(demoText(config))
    say(`ready ${url}`)
  } catch (error) {
    log.fatal({ err: error }, 'start failed')
    await lifecycle.stop()
    throw error
  }
}

/** The log of the run before is kept beside it: it may say why that one ended. */
function openLog(config: EmbeddedConfig, folder: DataFolder): LogFor {
  const path = join(folder.path, 'tendon.log')
  try {
    renameSync(path, join(folder.path, 'tendon.previous.log'))
  } catch {
    // There was none.
  }
  const destination = pino.destination({ dest: path, sync: false })
  return (service) => createLog({ service, level: config.logLevel }, destination)
}

function demoText(config: EmbeddedConfig): string {
  if (config.oidcIssuer) return ''
  return [
    '',
    `Sign in as alice/alice or bob/bob (patients), or staff/staff (reads alice's report by ${demoPeople.alice.customerId}).`,
    `Then, with alice's report open:  npm run crm -- "UPDATE customers SET full_name = 'Alice Liddell' WHERE email = 'alice@example.org'"`,
    '',
  ].join('\n')
}
