import { ConfigError, helpText, readConfig } from '@tendon/platform/config.ts'
import { createHttpApp } from '@tendon/platform/http-app.ts'
import { type HttpServer, listen } from '@tendon/platform/http-server.ts'
import { createLifecycle, stopOnSignals } from '@tendon/platform/lifecycle.ts'
import { createLog } from '@tendon/platform/log.ts'
import { createAttachedFeed } from './attached-feed.ts'
import { serviceOptions } from './options.ts'

const argv = process.argv.slice(2)

try {
  if (argv.includes('--help')) process.stdout.write(helpText('node cdc/main.ts [options]', serviceOptions))
  else await serve()
} catch (error) {
  process.stderr.write(`${error instanceof ConfigError ? error.message : String(error)}\n`)
  process.exitCode = error instanceof ConfigError ? 64 : 1
}

async function serve(): Promise<void> {
  const config = readConfig('cdc', serviceOptions, { env: process.env, argv })
  const log = createLog({ service: 'cdc', level: config.logLevel })
  const { feed, warehouse, metrics } = createAttachedFeed(config, log)
  const lifecycle = createLifecycle({ log })
  stopOnSignals(lifecycle, { log })

  let server: HttpServer | undefined
  await lifecycle.start('warehouse', { stop: () => warehouse.close() })
  await lifecycle.start('http', {
    start: async () => {
      const app = createHttpApp({ log, metrics, ready: () => feed.ready() })
      server = await listen(app, { host: config.host, port: config.port, log })
    },
    stop: () => server?.close(),
  })
  await lifecycle.start('feed', feed)
}
