import { listen } from '@tendon/platform/http-server.ts'
import { createMemoryKeyValue } from '@tendon/platform/key-value-memory.ts'
import { createRedisKeyValue } from '@tendon/platform/key-value-redis.ts'
import { createLifecycle, stopOnSignals } from '@tendon/platform/lifecycle.ts'
import { createLog, openLogFile } from '@tendon/platform/log.ts'
import { createMetrics } from '@tendon/platform/metrics.ts'
import { readProcessConfig, runProgram } from '@tendon/platform/process-config.ts'
import { openRedis } from '@tendon/platform/redis-connection.ts'
import { createBff } from './bff.ts'
import { bffOptions } from './options.ts'
import { refreshDrainMs } from './sessions/refresh-tokens.ts'

await runProgram(async () => {
  const config = readProcessConfig('bff', 'node bff/main.ts [options]', bffOptions)
  const { host, port, operationsHost, operationsPort, redisUrl, webRoot, logLevel, auditLogFile } = config
  const log = createLog({ service: 'bff', level: logLevel })
  const auditLog = auditLogFile ? createLog({ service: 'bff' }, openLogFile(auditLogFile)) : undefined
  const metrics = createMetrics('bff', { processMetrics: true })
  // A refresh under way is finished and stored first: its refresh token is spent.
  const lifecycle = createLifecycle({ log, stopTimeoutMs: refreshDrainMs + 2_000 })
  stopOnSignals(lifecycle, { log, boundMs: refreshDrainMs + 8_000 })

  const keyValue = redisUrl ? createRedisKeyValue({ url: redisUrl, log }) : createMemoryKeyValue()
  const redis = redisUrl ? openRedis({ url: redisUrl, log, commandTimeoutMs: 500 }) : undefined
  const bff = createBff({ config, keyValue, redis, log, auditLog, metrics, webRoot })

  await lifecycle.start('key-value', { stop: () => keyValue.close() })
  await lifecycle.start('rate limits', { stop: () => redis?.disconnect() })
  await lifecycle.start('bff', bff)
  const operations = await listen(bff.operations, { host: operationsHost, port: operationsPort, log })
  await lifecycle.start('operations http', { stop: () => operations.close() })
  const server = await listen(bff.app, { host, port, log, onClose: bff.endStreams })
  await lifecycle.start('http', { stop: () => server.close() })
  log.info({ url: server.url, operations_url: operations.url }, 'ready')
})
