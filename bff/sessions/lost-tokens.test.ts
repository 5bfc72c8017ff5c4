import { lostTokensSuite } from './lost-tokens.suite.ts'

lostTokensSuite('the embedded provider, sessions in memory')
