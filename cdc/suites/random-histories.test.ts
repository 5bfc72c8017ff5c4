import { afterAll, test } from 'vitest'
import { liveThroughHistories } from './live-through-histories.fixture.ts'
import { createWorld, startServers } from './replica-of-source.fixture.ts'

/** More of them, a million perhaps, find what is rarer. */
const operations = Number(process.env.CDC_TEST_OPERATIONS ?? 10_000)
const longestMs = 120 * operations

const servers = await startServers()
afterAll(() => servers.remove())

test(
  `tables that nobody has thought of: after ${operations} changes of rows and shapes every replica equals its source`,
  async () => {
    await liveThroughHistories((...tables) => createWorld(servers, ...tables), operations)
  },
  longestMs,
)
