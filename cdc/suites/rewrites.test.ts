import { afterAll } from 'vitest'
import { createWorld, startServers } from './replica-of-source.fixture.ts'
import { testRewrites } from './rewrites.suite.ts'

const servers = await startServers()
afterAll(() => servers.remove())
testRewrites((ddl, entries) => createWorld(servers, ddl, entries))
