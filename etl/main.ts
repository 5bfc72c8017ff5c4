import { ConfigError, helpText, readConfig } from '@tendon/platform/config.ts'
import { type HttpServer, listen } from '@tendon/platform/http-server.ts'
import { createLifecycle, stopOnSignals } from '@tendon/platform/lifecycle.ts'
import { createLog } from '@tendon/platform/log.ts'
import { createAttachedEtl } from './attached-etl.ts'
import { serviceOptions } from './options.ts'

const argv = process.argv.slice(2)

try {
  if (argv.includes('--help')) process.stdout.write(helpText('node etl/main.ts [options]', serviceOptions))
  else await serve()
} catch (error) {
  process.stderr.write(`${error instanceof ConfigError ? error.message : String(error)}\n`)
  process.exitCode = error instanceof ConfigError ? 64 : 1
}

async function serve(): Promise<void> {
  const config = readConfig('etl', serviceOptions, { env: process.env, argv })
  const log = createLog({ service: 'etl', level: config.logLevel })
  const { etl, warehouse } = createAttachedEtl(config, log)
  const lifecycle = createLifecycle({ log })
  stopOnSignals(lifecycle, { log })

  let server: HttpServer | undefined
  await lifecycle.start('warehouse', { stop: () => warehouse.close() })
  await lifecycle.start('http', {
    start: async () => {
      server = await listen(etl.app, { host: config.host, port: config.port, log })
    },
    stop: () => server?.close(),
  })
  await lifecycle.start('etl', etl)
}
