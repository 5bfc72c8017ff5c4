import { createHttpApp } from '@tendon/platform/http-app.ts'
import { type HttpServer, listen } from '@tendon/platform/http-server.ts'
import { createLifecycle, stopOnSignals } from '@tendon/platform/lifecycle.ts'
import { createLog } from '@tendon/platform/log.ts'
import { readProcessConfig, runProgram } from '@tendon/platform/process-config.ts'
import { createAttachedFeed } from './attached-feed.ts'
import { serviceOptions } from './options.ts'

await runProgram(async () => {
  const config = readProcessConfig('cdc', 'node cdc/main.ts [options]', serviceOptions)
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
})
