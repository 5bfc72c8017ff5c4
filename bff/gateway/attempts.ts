import type { IncomingHttpHeaders } from 'node:http'
import { TendonError } from '@tendon/platform/errors.ts'
import { bffErrors } from '../errors.ts'
import { type Answer, ClientGone, endWith, HeldBack, passThrough } from './pass-through.ts'
import type { Question, Upstream } from './upstream.ts'

/** An answer that took longer has waited for what all instances wait for: whoever asks has waited enough. */
const quickFailureMs = 1_000
/** How long another instance is waited for when one has answered that it cannot. */
const secondChanceMs = 1_500

/**
 * Asks a service, of its instances one after the other until one answers, within one deadline.
 *
 * Another is asked in place of one that had nothing of the request, or when the request may be done twice (RFC 9110 §9.2.2);
 * in place of one that answers 502, 503 or 504 only if it may do better, and what was answered stands when it does not.
 * @returns when the answer has been passed on
 * @throws the last instance's failure; `outgoing.headersSent` tells whether it can be answered
 */
export async function askInstances(
  upstream: Upstream,
  question: Omit<Question, 'headersTimeout' | 'bodyTimeout'>,
  answer: Pick<Answer, 'outgoing' | 'admit' | 'recorder'> & {
    timeouts: { headersMs: number; bodyMs: number }
  },
): Promise<void> {
  const { outgoing, admit, recorder, timeouts } = answer
  const request = { ...question, headersTimeout: timeouts.headersMs, bodyTimeout: timeouts.bodyMs }
  // A body that has begun to flow cannot be sent again.
  const hasBody = question.body !== null
  const isRepeatable = !hasBody && idempotentMethods.has(question.method)
  const attempts = upstream.attempts()
  const begunAtMs = performance.now()
  let refusal: HeldBack | undefined
  let isAnew = false
  let failure: unknown
  for (let instance = attempts.next(); instance; ) {
    const chosen = instance
    let isFailing = false
    try {
      await passThrough((handler) => upstream.dispatch(chosen, request, handler, isAnew), {
        outgoing,
        recorder,
        // How long a body takes to be sent is not for the service to answer for.
        headWithinMs: hasBody ? undefined : request.headersTimeout,
        isHeldBack: (status) =>
          isRepeatable &&
          failingStatuses.has(status) &&
          performance.now() - begunAtMs < quickFailureMs &&
          attempts.hasRested(),
        admit(status, headers) {
          isFailing = failingStatuses.has(status)
          return admit(status, headers)
        },
      })
      return upstream.done(chosen, isFailing ? 'failing' : 'answered')
    } catch (err) {
      failure = err
      if (err instanceof HeldBack && (err.answer || !refusal)) refusal = err
      const leftMs = timeouts.headersMs - (performance.now() - begunAtMs)
      const isOver = outgoing.headersSent || hasBody || leftMs <= 0 || !canBeSentAgain(isRepeatable, err)
      // A kept connection may end just as it is used, of a service that is well (RFC 9112 §9.3.1).
      const isAgain: boolean = !isOver && !isAnew && hasCode(err, brokenCodes) && !attempts.hasRested()
      upstream.done(chosen, isAgain ? 'given up' : outcomeOf(err))
      if (isOver) break
      request.headersTimeout = refusal ? Math.min(secondChanceMs, leftMs) : leftMs
      isAnew ||= isAgain
      if (!isAgain) instance = attempts.next()
    }
  }
  if (!refusal?.answer || outgoing.headersSent || !isWithoutAnswer(failure)) throw failure
  await give(refusal.answer, answer)
}

/** What an instance has answered, when no other has done better. */
async function give(
  { status, headers, body }: { status: number; headers: IncomingHttpHeaders; body: Buffer },
  { outgoing, admit, recorder }: Pick<Answer, 'outgoing' | 'admit' | 'recorder'>,
): Promise<void> {
  const head = await admit(status, headers)
  outgoing.writeHead(head.status, head.headers)
  endWith(outgoing, body)
  recorder?.head(head)
  recorder?.chunk(body)
  recorder?.end()
}

/** What a browser is told of an attempt that failed. */
export function asTendonError(cause: unknown): TendonError {
  if (cause instanceof TendonError) return cause
  return hasCode(cause, lateCodes)
    ? bffErrors.upstreamTimeout('The service takes too long.', { cause })
    : bffErrors.upstreamUnavailable('The service could not be reached.', { cause })
}

/** No connection came to be: nothing was sent. */
const refusedCodes = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
])
/** The connection broke, at whatever point. */
const brokenCodes = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'])
const silentCodes = new Set(['UND_ERR_HEADERS_TIMEOUT'])
const lateCodes = new Set([...silentCodes, 'UND_ERR_BODY_TIMEOUT', 'UND_ERR_CONNECT_TIMEOUT', 'ETIMEDOUT'])
/** RFC 9110 §9.2.2. */
const idempotentMethods = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

/** RFC 9110 §15.6.3 to §15.6.5: what it was asked cannot be had from this instance now. */
const failingStatuses = new Set([502, 503, 504])

/** A service that had the request before its connection broke may have done what it was asked. */
function canBeSentAgain(isRepeatable: boolean, err: unknown): boolean {
  if (hasCode(err, refusedCodes)) return true
  return isRepeatable && (err instanceof HeldBack || hasCode(err, brokenCodes))
}

/** One that takes a request and does not answer is as good as away, but may have done what it was asked. */
function outcomeOf(err: unknown) {
  if (err instanceof HeldBack) return 'failing'
  const isAway = [refusedCodes, brokenCodes, silentCodes].some((codes) => hasCode(err, codes))
  // Otherwise it was not for the instance's sake: the answer was unwanted, or nobody waits for it any more.
  return isAway ? 'unreachable' : 'given up'
}

/** Neither was an answer unwanted, nor has the client left. */
const isWithoutAnswer = (failure: unknown) =>
  !(failure instanceof TendonError || failure instanceof ClientGone)

function hasCode(err: unknown, codes: Set<string>): boolean {
  return err instanceof Error && 'code' in err && codes.has(String(err.code))
}
