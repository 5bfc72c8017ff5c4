import { afterAll, test } from 'vitest'
import { liveThroughHistories } from './random-histories.fixture.ts'
import { startServers } from './replica-of-source.fixture.ts'

const servers = await startServers()
afterAll(() => servers.remove())

test('tables that nobody has thought of, 10,000 random changes of rows and shapes: every replica equals its source', async () => {
  await liveThroughHistories(servers, 10_000)
}, 300_000)
