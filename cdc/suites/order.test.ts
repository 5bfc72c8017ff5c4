import { afterAll } from 'vitest'
import { testOrder } from './order.suite.ts'
import { createWorld, startServers } from './replica-of-source.fixture.ts'

const servers = await startServers()
afterAll(() => servers.remove())
testOrder((ddl, entries) => createWorld(servers, ddl, entries))
