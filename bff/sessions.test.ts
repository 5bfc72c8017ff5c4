import { sessionsSuite } from './sessions.suite.ts'

sessionsSuite('the embedded provider, sessions in memory')
