import { test } from 'vitest'
import { createKafkaWorld } from '../kafka/kafka-world.fixture.ts'
import { liveThroughHistories } from './live-through-histories.fixture.ts'

/** Fewer than on the feed in process: a change of shape costs the chain seconds. */
const operations = Number(process.env.CDC_TEST_OPERATIONS ?? 2_000)

test(
  `tables that nobody has thought of, by Kafka: after ${operations} changes of rows and shapes every replica equals its source`,
  async () => {
    await liveThroughHistories(createKafkaWorld, operations)
  },
  // Longer than replicas are waited for, so that a failure says how they differ.
  120 * operations,
)
