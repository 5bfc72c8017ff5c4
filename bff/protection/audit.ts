import type { HttpEnv } from '@tendon/platform/http-app.ts'
import type { Log } from '@tendon/platform/log.ts'
import type { Context } from 'hono'
import { bffErrors } from '../errors.ts'
import type { Session } from '../sessions/session.ts'
import type { ClientAddress } from './client-address.ts'

/** What is written down: who may see or end what, who looked for customers or asked for another's reports, and what was refused. */
type AuditedAction =
  | 'sign_in'
  | 'sign_out'
  | 'provider_sign_out'
  | 'session_revocation'
  | 'token_refresh'
  | 'cross_site_request'
  | 'api_request'
  | 'report_of_another'
  | 'customer_search'

export type AuditEvent = {
  action: AuditedAction
  outcome: 'done' | 'refused' | 'failed'
  /** Who did it; absent when nobody is known, as in a sign-in that was refused. */
  who?: Pick<Session, 'subject' | 'user' | 'handle'> | undefined
  /** Whom it was done to, when that is somebody else. */
  whom?: { username?: string; subject?: string | undefined; sid?: string | undefined; customer_id?: string }
  /** What was asked for, when the action does not say it. */
  path?: string
  /** The code of the error that it was refused with. */
  reason?: string
  sessions?: number
}

/** The first refusal of a minute: the others would only fill the log. */
export const tooManyRequests: AuditEvent = {
  action: 'api_request',
  outcome: 'refused',
  reason: bffErrors.tooManyRequests.code,
}

export type Audit = (c: Context<HttpEnv>, event: AuditEvent) => void

/**
 * Who did what, when, from where, and how it went, as a stream of JSON lines of its own (OWASP Logging Cheat Sheet).
 * A session is named by its handle, which opens nothing.
 */
export function createAudit(options: { log: Log; clientAddress: ClientAddress }): Audit {
  const { clientAddress } = options
  // Whatever else the service is told to leave out of its log.
  const log = options.log.child({ stream: 'audit' }, { level: 'info' })
  return (c, { action, outcome, who, whom, path, reason, sessions }) => {
    const userAgent = c.req.header('user-agent')?.slice(0, 256)
    log.info({
      action,
      outcome,
      ...(who && { who: { subject: who.subject, username: who.user.username, session: who.handle } }),
      ...(whom && { whom }),
      ...(path && { path }),
      ...(reason && { reason }),
      ...(sessions !== undefined && { sessions }),
      from: { address: clientAddress(c), user_agent: userAgent },
      request_id: c.get('requestId'),
    })
  }
}
