import { attacksSuite } from './attacks.suite.ts'

attacksSuite('embedded provider', {})
