import { afterAll } from 'vitest'
import { testInvalidation } from './invalidation.suite.ts'
import { createWorld, startServers } from './replica-of-source.fixture.ts'

const servers = await startServers()
afterAll(() => servers.remove())
testInvalidation((ddl, entries) => createWorld(servers, ddl, entries))
