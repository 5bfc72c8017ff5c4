import { afterAll } from 'vitest'
import { createWorld, startServers } from './replica-of-source.fixture.ts'
import { testValues } from './values.suite.ts'

const servers = await startServers()
afterAll(() => servers.remove())
testValues((ddl, entries) => createWorld(servers, ddl, entries))
