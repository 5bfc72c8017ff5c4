import type { Log } from '@tendon/platform/log.ts'
import { createKafkaClient } from './kafka-client.ts'

const requestTimeoutMs = 5_000

/** Whether one of the brokers answers, asked as the feed asks later. @throws what kafkajs says when none does */
export async function askKafka(brokers: string[], log: Log): Promise<void> {
  const admin = createKafkaClient(brokers, log, { retries: 2 }).admin()
  try {
    await admin.connect()
    await admin.describeCluster()
  } finally {
    await admin.disconnect()
  }
}

/** Whether Kafka Connect answers (Kafka docs, "REST API": `GET /connectors`). @throws with the answer as `cause` when it refuses */
export async function askConnect(url: string): Promise<void> {
  const response = await fetch(`${url.replace(/\/$/, '')}/connectors`, {
    signal: AbortSignal.timeout(requestTimeoutMs),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(text, { cause: response })
}
