import type { KeyValue } from '@tendon/platform/key-value.ts'
import type { Identity } from '../relying-party/issued-tokens.ts'
import { accountOf } from '../sessions/session-index.ts'

/** Longer than providers keep their own sessions. */
const rememberedMs = 30 * 86_400_000

export type Reauthentication = ReturnType<typeof createReauthentication>

/**
 * Whoever revokes a session means the browser that has it, and that has a session at the provider as well, which would
 * sign it in again without a question. It is not ended from here: the bff does not open a session without its id, which
 * only the browser has. So from then on the account has to sign in with its password (OpenID Connect Core 1.0 §2, `auth_time`);
 * and so it has after a sign-out that the provider was not told of.
 */
export function createReauthentication(options: { keyValue: KeyValue; now: () => number }) {
  const { keyValue, now } = options
  return {
    /** Of all that the account has at the provider, only what it begins from now on counts. */
    async require(account: string): Promise<void> {
      await keyValue.set(reauthenticationKey(account), String(now()), { ttlMs: rememberedMs })
    },
    /**
     * Whether the person gave their password since. What the browser was sent to the provider with proves nothing, for
     * the browser may change it.
     * @param askedAtMs when the provider was asked for this ID token
     */
    async isSatisfied(identity: Identity, askedAtMs: number): Promise<boolean> {
      const since = await keyValue.get(reauthenticationKey(accountOf(identity.sub)))
      return since === undefined || earliestPasswordMs(identity, askedAtMs) >= inMs(Number(since))
    },
  }
}

/**
 * Since when, at the earliest, the password is given. The ID token says by the provider's clock alone how long that was
 * before the token, which is not older than the question: so no clock is compared with ours. Both times are whole seconds,
 * and what lies between them may be up to one more. Without `auth_time` it may have been given at any time.
 */
function earliestPasswordMs({ iat, auth_time }: Identity, askedAtMs: number): number {
  const atMostSecondsBefore = auth_time === undefined ? Infinity : Math.max(0, iat - auth_time) + 1
  return askedAtMs - atMostSecondsBefore * 1000
}

/** Until 26 November 2026 the time was kept in seconds; read as milliseconds, those are before 2001. */
const inMs = (since: number) => (since < 1e12 ? since * 1000 : since)

const reauthenticationKey = (account: string) => `tendon:reauthentication:${account}`
