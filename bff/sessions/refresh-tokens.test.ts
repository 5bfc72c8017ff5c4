import { refreshTokensSuite } from './refresh-tokens.suite.ts'

refreshTokensSuite('the embedded provider, sessions in memory')
