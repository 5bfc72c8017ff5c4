import { afterAll } from 'vitest'
import { testMisread } from './misread.suite.ts'
import { createWorld, startServers } from './replica-of-source.fixture.ts'

const servers = await startServers()
afterAll(() => servers.remove())
testMisread((ddl, entries) => createWorld(servers, ddl, entries), 2)
