import { cdcErrors } from '@tendon/cdc/errors.ts'
import type { CdcFeed } from '@tendon/cdc/feed-supervisor.ts'
import { embeddedErrors } from './errors.ts'
import { untilAborted } from './until-aborted.ts'

/**
 * Waits until everything that is in the CRM now is in the warehouse.
 * @param options.signal gives up with its reason
 * @throws what the feed itself says is wrong, or TENDON-EMBEDDED-006, when it takes longer than `timeoutMs`
 */
export async function catchUp(
  feed: CdcFeed,
  options: { timeoutMs: number; signal: AbortSignal },
): Promise<void> {
  const { timeoutMs, signal } = options
  const timeout = AbortSignal.timeout(timeoutMs)
  try {
    await untilAborted(AbortSignal.any([signal, timeout]), feed.caughtUp())
  } catch (error) {
    if (!timeout.aborted || signal.aborted) throw error
    const { state, problem } = feed.status()
    const known = Object.values(cdcErrors).find(({ code }) => code === problem?.code)
    if (problem && known) throw known(problem.detail)
    throw embeddedErrors.feedNotCaughtUp(
      `The change feed is not done with the CRM after ${timeoutMs / 1000} s (${state}).`,
    )
  }
}
