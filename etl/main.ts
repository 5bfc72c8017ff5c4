import { type HttpServer, listen } from '@tendon/platform/http-server.ts'
import { createLifecycle, stopOnSignals } from '@tendon/platform/lifecycle.ts'
import { createLog } from '@tendon/platform/log.ts'
import { readProcessConfig, runProgram } from '@tendon/platform/process-config.ts'
import { createAttachedEtl } from './attached-etl.ts'
import { serviceOptions } from './options.ts'

await runProgram(async () => {
  const config = readProcessConfig('etl', 'node etl/main.ts [options]', serviceOptions)
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
})
