import { rateLimitsSuite } from './rate-limits.suite.ts'

rateLimitsSuite('each instance for itself', { isShared: false })
