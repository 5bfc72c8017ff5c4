import { afterAll } from 'vitest'
import { testOtherHistory } from './other-history.suite.ts'
import { createWorld, startServers } from './replica-of-source.fixture.ts'

const servers = await startServers()
afterAll(() => servers.remove())
testOtherHistory((ddl, entries) => createWorld(servers, ddl, entries))
