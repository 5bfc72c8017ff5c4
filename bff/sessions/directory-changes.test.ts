import { directoryChangesSuite } from './directory-changes.suite.ts'

directoryChangesSuite('the embedded provider, sessions in memory')
