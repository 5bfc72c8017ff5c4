import { afterAll } from 'vitest'
import { createWorld, startServers } from './replica-of-source.fixture.ts'
import { testWideTables } from './wide-tables.suite.ts'

const servers = await startServers()
afterAll(() => servers.remove())

testWideTables((ddl, entries) => createWorld(servers, ddl, entries))
