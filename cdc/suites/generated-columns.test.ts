import { afterAll } from 'vitest'
import { testGeneratedColumns } from './generated-columns.suite.ts'
import { createWorld, startServers } from './replica-of-source.fixture.ts'

const servers = await startServers()
afterAll(() => servers.remove())
testGeneratedColumns((...tables) => createWorld(servers, ...tables))
