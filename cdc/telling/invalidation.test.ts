import { afterAll } from 'vitest'
import { createWorld, startServers } from '../suites/replica-of-source.fixture.ts'
import { testInvalidation } from './invalidation.suite.ts'

const servers = await startServers()
afterAll(() => servers.remove())
testInvalidation((ddl, entries) => createWorld(servers, ddl, entries))
