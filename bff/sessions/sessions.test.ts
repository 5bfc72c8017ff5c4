import { sessionListSuite } from './session-list.suite.ts'
import { sessionsSuite } from './sessions.suite.ts'
import { signOutSuite } from './sign-out.suite.ts'
import { storedSessionsSuite } from './stored-sessions.suite.ts'

const name = 'the embedded provider, sessions in memory'
sessionsSuite(name)
signOutSuite(name)
sessionListSuite(name)
storedSessionsSuite(name)
