import { expect, test } from 'vitest'
import { z } from 'zod'
import { createAccessTokenVerifier } from './access-token.ts'
import { createServiceTokenSource } from './service-token.ts'

const environment = z.object({
  OIDC_ISSUER: z.url(),
  OIDC_CDC_SECRET: z.string(),
  OIDC_ETL_SECRET: z.string(),
})

test('Keycloak gives the change feed and the ETL tokens of their own, with the one role that they need', async () => {
  const { OIDC_ISSUER: issuer, OIDC_CDC_SECRET, OIDC_ETL_SECRET } = environment.parse(process.env)
  const verify = createAccessTokenVerifier({ issuer, audience: 'reports-service' })
  const callers = await Promise.all(
    [
      { clientId: 'tendon-cdc', clientSecret: OIDC_CDC_SECRET },
      { clientId: 'tendon-etl', clientSecret: OIDC_ETL_SECRET },
    ].map(async (client) => verify(`Bearer ${await createServiceTokenSource({ issuer, ...client })()}`)),
  )
  for (const { roles, customerId } of callers) {
    expect(roles).toEqual(['report-invalidator'])
    expect(customerId).toBeUndefined()
  }
  expect(callers[0]!.subject).not.toBe(callers[1]!.subject)

  const other = createServiceTokenSource({ issuer, clientId: 'tendon-etl', clientSecret: OIDC_CDC_SECRET })
  await expect(other()).rejects.toMatchObject({ code: 'TENDON-PLATFORM-009' })
})
