import { relative } from 'node:path'
import { helpText } from '@tendon/platform/config.ts'
import { createLifecycle, stopOnSignals } from '@tendon/platform/lifecycle.ts'
import { endWith } from '@tendon/platform/process-config.ts'
import { createTerminalProgress } from '@tendon/platform/progress.ts'
import { type DataFolder, openDataFolder } from './data-folder.ts'
import { readEmbeddedConfig } from './embedded-config.ts'
import { openLogFile } from './log-for.ts'
import { misspeltVariables } from './misspelt-variables.ts'
import { type EmbeddedConfig, embeddedOptions } from './options.ts'
import { knownVariables } from './service-configs.ts'
import { startTendon } from './start-tendon.ts'

const argv = process.argv.slice(2)
const say = (text: string) => process.stdout.write(`${text}\n`)

if (argv.includes('--help')) {
  say(helpText('npm start -- [options]', embeddedOptions))
  say(
    'Each service takes variables of its own too, as in ETL_SCHEDULE: npm exec -- node <service>/main.ts --help lists a\n' +
      "service's (bff, reports-service, cdc, etl). The addresses among them are set here.\n",
  )
  say('Exit codes: 0 stopped as asked, 1 something failed (its code is said), 64 the options are wrong.')
  process.exit(0)
}

try {
  const config = readEmbeddedConfig({ env: process.env, argv })
  for (const { name, meant } of misspeltVariables(process.env, knownVariables()))
    process.stderr.write(`${name} is set, which nothing here reads: is ${meant} meant?\n`)
  const folder = await openDataFolder(config.data, { reset: config.reset })
  await run(config, folder)
} catch (error) {
  endWith(error)
}

async function run(config: EmbeddedConfig, folder: DataFolder): Promise<void> {
  const logFor = openLogFile(folder.path, config.logLevel)
  const log = logFor('tendon')
  const lifecycle = createLifecycle({ log })
  await lifecycle.start('data folder', { stop: () => folder.release() })
  stopOnSignals(lifecycle, { log, say })
  const below = relative(process.cwd(), folder.path)
  const where = below.startsWith('..') ? folder.path : below || folder.path
  say(`Tendon: data in ${where}, log in ${where}/tendon.log`)
  try {
    const progress = createTerminalProgress(process.stdout, lifecycle.stopping)
    const { url, hasDemoLogins } = await startTendon(config, { folder, lifecycle, logFor, progress })
    if (hasDemoLogins) say(demoText(config))
    say(`ready ${url}`)
  } catch (error) {
    // Told to stop on its way: what fails now fails for that reason, and the stop ends the process when it is done.
    if (lifecycle.stopping.aborted) return
    log.fatal({ err: error }, 'start failed')
    await lifecycle.stop()
    throw error
  }
}

function demoText(config: EmbeddedConfig): string {
  const data = config.data === embeddedOptions.data.default ? '' : `--data '${config.data}' `
  return `
Sign in as alice/alice or bob/bob (patients), or staff/staff (the fleet; finds anybody by name).
Then, with alice's report open:  npm run crm -- ${data}"UPDATE customers SET full_name = 'Alice Liddell' WHERE email = 'alice@example.org'"
`
}
