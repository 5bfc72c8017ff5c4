import { afterAll } from 'vitest'
import { testMisfits } from './misfits.suite.ts'
import { createWorld, startServers } from './replica-of-source.fixture.ts'

const servers = await startServers()
afterAll(() => servers.remove())
testMisfits((ddl, entries) => createWorld(servers, ddl, entries))
