import { afterAll } from 'vitest'
import { createWorld, startServers } from './replica-of-source.fixture.ts'
import { testSchemaChanges } from './schema-changes.suite.ts'

const servers = await startServers()
afterAll(() => servers.remove())
testSchemaChanges((ddl, entries) => createWorld(servers, ddl, entries))
