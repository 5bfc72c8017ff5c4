import { afterAll, test } from 'vitest'
import { liveThroughHistories } from './random-histories.fixture.ts'
import { startServers } from './replica-of-source.fixture.ts'

const operations = Number(process.env.CDC_TEST_OPERATIONS ?? 1_000_000)
const servers = await startServers()
afterAll(() => servers.remove())

test(`after ${operations} random changes of rows and shapes, every replica equals its source`, async () => {
  await liveThroughHistories(servers, operations)
}, 86_400_000)
