import { afterAll } from 'vitest'
import { createWorld, startServers } from './replica-of-source.fixture.ts'
import { testUndecodableSlot } from './undecodable-slot.suite.ts'

const servers = await startServers()
afterAll(() => servers.remove())
testUndecodableSlot((ddl, entries) => createWorld(servers, ddl, entries))
