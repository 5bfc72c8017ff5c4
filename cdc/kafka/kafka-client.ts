import type { Log } from '@tendon/platform/log.ts'
import { Kafka, logLevel } from 'kafkajs'

const initialRetryTime = 100
const maxRetryTime = 5_000

/**
 * Kafka's client; what it has to say goes into our log. It sets timeouts below zero (kafkajs 2.2.4, requestQueue), of which
 * Node warns once: package.json starts its processes without that warning.
 */
export function createKafkaClient(brokers: string[], log: Log, { retries = 5 } = {}): Kafka {
  return new Kafka({
    clientId: 'tendon-cdc',
    brokers,
    retry: { initialRetryTime, maxRetryTime, retries },
    logLevel: logLevel.WARN,
    logCreator:
      () =>
      ({ log: { message, ...fields } }) => {
        log.debug({ kafka: fields }, message)
      },
  })
}
