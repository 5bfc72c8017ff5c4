import { setTimeout as delay } from 'node:timers/promises'
import type { z } from 'zod'

export type PostRetry = {
  /** Calls in all, the first included. */
  attempts: number
  /** Upper bound of the first pause; each later one may be twice as long. */
  baseDelayMs: number
  maxDelayMs: number
}

const defaultRetry: PostRetry = { attempts: 5, baseDelayMs: 200, maxDelayMs: 5_000 }

/** A call that did not succeed: what was called, how it was answered last, and after how many attempts. */
export class PostJsonError extends Error {
  /** Status of the last answer; undefined when there was none. */
  readonly status: number | undefined

  constructor(message: string, status: number | undefined, options?: ErrorOptions) {
    super(message, options)
    this.name = 'PostJsonError'
    this.status = status
  }
}

/**
 * Posts JSON to another service and reads its JSON answer.
 *
 * A call that can succeed later is repeated: no answer, 408, 429 and 5xx (RFC 9110 §15.5.9, §15.6; RFC 6585
 * §4). The pause is random between nothing and a bound that doubles ("full jitter"), so that many callers do
 * not come back at once, and never shorter than a `Retry-After` the service sent, up to `maxDelayMs`. The
 * endpoint must therefore be one that may be called twice.
 *
 * @param token source of the bearer token, asked again for each attempt; its own failure is not repeated here
 * @param response what a successful answer must be
 * @param timeoutMs bound on each attempt
 * @throws PostJsonError when the last attempt failed or the answer is not what `response` says;
 *   the signal's reason when `signal` aborts
 */
export async function postJson<Response extends z.ZodType>(options: {
  url: string
  token?: () => Promise<string>
  body: unknown
  response: Response
  retry?: PostRetry
  timeoutMs?: number
  signal?: AbortSignal | undefined
}): Promise<z.infer<Response>> {
  const { url, token, response, retry = defaultRetry, timeoutMs = 10_000, signal } = options
  const body = JSON.stringify(options.body)

  for (let attempt = 1; ; attempt++) {
    const headers: Record<string, string> = { 'content-type': 'application/json', accept: 'application/json' }
    if (token) headers.authorization = `Bearer ${await token()}`
    const outcome = await postOnce(url, { headers, body, timeoutMs, signal })
    signal?.throwIfAborted()

    if (outcome.kind === 'answered') return readAnswer(url, outcome, response)
    if (!outcome.mayRepeat || attempt >= retry.attempts) {
      const times = attempt === 1 ? 'once' : `${attempt} times`
      const detail = outcome.problem ? `: ${outcome.problem}` : ''
      throw new PostJsonError(
        `POST ${withoutQuery(url)} was tried ${times} and failed (${outcome.reason})${detail}`,
        outcome.status,
        { cause: outcome.cause },
      )
    }
    const pause = pauseMs(retry, attempt, outcome.retryAfterMs)
    await delay(pause, undefined, signal ? { signal } : {}).catch(() => signal?.throwIfAborted())
  }
}

type Answered = { kind: 'answered'; status: number; text: string }
type Failed = {
  kind: 'failed'
  mayRepeat: boolean
  reason: string
  problem?: string | undefined
  status?: number
  retryAfterMs?: number | undefined
  cause?: unknown
}

async function postOnce(
  url: string,
  call: {
    headers: Record<string, string>
    body: string
    timeoutMs: number
    signal?: AbortSignal | undefined
  },
): Promise<Answered | Failed> {
  const bound = AbortSignal.timeout(call.timeoutMs)
  try {
    const answer = await fetch(url, {
      method: 'POST',
      headers: call.headers,
      body: call.body,
      // A redirect would carry the token to wherever it points.
      redirect: 'manual',
      signal: call.signal ? AbortSignal.any([bound, call.signal]) : bound,
    })
    const text = await answer.text()
    if (answer.ok) return { kind: 'answered', status: answer.status, text }
    return {
      kind: 'failed',
      mayRepeat: answer.status === 408 || answer.status === 429 || answer.status >= 500,
      reason: `status ${answer.status}`,
      problem: problemDetail(text),
      status: answer.status,
      retryAfterMs: retryAfterMs(answer.headers.get('retry-after')),
    }
  } catch (cause) {
    return {
      kind: 'failed',
      mayRepeat: true,
      reason: bound.aborted ? 'no answer in time' : 'no connection',
      cause,
    }
  }
}

function readAnswer<Response extends z.ZodType>(
  url: string,
  answer: Answered,
  response: Response,
): z.infer<Response> {
  try {
    return response.parse(JSON.parse(answer.text))
  } catch (cause) {
    const message = `POST ${withoutQuery(url)} was answered with status ${answer.status} and an unexpected body`
    throw new PostJsonError(message, answer.status, { cause })
  }
}

/** The `detail` of a problem document (RFC 9457): the only part of a failed answer made to be shown. */
function problemDetail(text: string): string | undefined {
  try {
    const { detail, title } = JSON.parse(text) as { detail?: unknown; title?: unknown }
    return [detail, title].find((part) => typeof part === 'string')
  } catch {
    return undefined
  }
}

/** `Retry-After` in its form of seconds (RFC 9110 §10.2.3); the form of a date is not worth a clock's trust. */
function retryAfterMs(header: string | null): number | undefined {
  return header && /^\d{1,6}$/.test(header) ? Number(header) * 1000 : undefined
}

function pauseMs(retry: PostRetry, attempt: number, atLeastMs = 0): number {
  const bound = Math.min(retry.maxDelayMs, retry.baseDelayMs * 2 ** (attempt - 1))
  return Math.min(retry.maxDelayMs, Math.max(atLeastMs, Math.random() * bound))
}

/** Queries may carry what a log must not show. */
function withoutQuery(url: string): string {
  return url.split('?', 1)[0]!
}
