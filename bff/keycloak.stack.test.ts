import { createRedisKeyValue } from '@tendon/platform/key-value-redis.ts'
import { createLog } from '@tendon/platform/log.ts'
import { z } from 'zod'
import { attacksSuite } from './gateway/attacks.suite.ts'
import { rateLimitsSuite } from './rate-limits.suite.ts'
import { refreshTokensSuite } from './refresh-tokens.suite.ts'
import { sessionsSuite } from './sessions.suite.ts'
import { signInSuite } from './sign-in.suite.ts'
import { openKeycloakTestProvider } from './test-provider-keycloak.fixture.ts'

const log = createLog({ service: 'test', level: 'fatal' })
const name = 'Keycloak with OpenLDAP, sessions in Redis'
const options = {
  openProvider: openKeycloakTestProvider,
  openKeyValue: () =>
    createRedisKeyValue({ url: z.string('REDIS_URL is not set').parse(process.env.REDIS_URL), log }),
}

signInSuite(name, options)
attacksSuite(name, options)
sessionsSuite(name, options)
refreshTokensSuite(name, options)
// Counted by address, and all tests have one: Redis has them in its own suite.
rateLimitsSuite(name, { ...options, isShared: false })
