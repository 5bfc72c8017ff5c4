import type { KeyValue } from '@tendon/platform/key-value.ts'
import type { Identity } from './issued-tokens.ts'
import { clockToleranceSeconds } from './provider-connection.ts'
import { accountOf } from './session-index.ts'

/** Longer than providers keep their own sessions. */
const rememberedMs = 30 * 86_400_000

export type Reauthentication = ReturnType<typeof createReauthentication>

/**
 * Whoever revokes a session means the browser that has it, and that has a session at the provider as well, which would
 * sign it in again without a question. It cannot be ended from here: its tokens are sealed with the id that only the
 * browser knows. So from then on the account has to sign in with its password (OpenID Connect Core 1.0 §2, `auth_time`).
 */
export function createReauthentication(options: { keyValue: KeyValue; now: () => number }) {
  const { keyValue, now } = options
  return {
    /** Of all that the account has at the provider, only what it begins from now on counts. */
    async require(account: string): Promise<void> {
      await keyValue.set(reauthenticationKey(account), String(seconds(now())), { ttlMs: rememberedMs })
    },
    /**
     * Whether the person gave their password since; not known to have, when the provider does not say when.
     * @param isAsked whether the provider was told to ask for it: only then may its clock be behind ours, for otherwise a
     *   password that was given before could pass for a later one. Whoever gives one right after is then asked twice.
     */
    async isSatisfied(
      { sub, auth_time: authTimeSeconds = 0 }: Identity,
      { isAsked }: { isAsked: boolean },
    ): Promise<boolean> {
      const sinceSeconds = await keyValue.get(reauthenticationKey(accountOf(sub)))
      const toleranceSeconds = isAsked ? clockToleranceSeconds : 0
      return sinceSeconds === undefined || authTimeSeconds >= Number(sinceSeconds) - toleranceSeconds
    },
  }
}

const seconds = (ms: number) => Math.floor(ms / 1000)

const reauthenticationKey = (account: string) => `tendon:reauthentication:${account}`
