import { reportAdminRole } from '@tendon/contracts/roles.ts'
import type { OwnSessions, RevokedSessions } from '@tendon/contracts/session-api.ts'
import type { HttpApp, HttpEnv } from '@tendon/platform/http-app.ts'
import { type Context, Hono } from 'hono'
import { bffErrors } from '../errors.ts'
import type { Audit } from '../protection/audit.ts'
import type { Reauthentication } from '../sign-in/reauthentication.ts'
import type { Cookies } from './cookies.ts'
import type { EndSessions } from './end-sessions.ts'
import { handleOf } from './session.ts'
import { accountOf, isReadable, type NamedByStaff, type SessionIndex } from './session-index.ts'
import type { SessionStore } from './session-store.ts'
import type { Freshen, NoteUse, SignedIn } from './signed-in.ts'

/**
 * `GET /auth/sessions`, `DELETE /auth/sessions/:id`, `DELETE /auth/sessions`: a person's own sessions; and
 * `DELETE /auth/users/:username/sessions`, `DELETE /auth/customers/:customer_id/sessions` for the staff.
 */
export function sessionListRoutes(options: {
  sessions: SessionStore
  index: SessionIndex
  endSessions: EndSessions
  reauthentication: Reauthentication
  signedIn: SignedIn
  freshen: Freshen
  noteUse: NoteUse
  cookies: Cookies
  audit: Audit
}): HttpApp {
  const { sessions, index, endSessions, reauthentication, signedIn, freshen, noteUse, cookies, audit } =
    options
  const app = new Hono<HttpEnv>()

  app.get('/auth/sessions', async (c) => {
    const { session, hash } = await freshen(c, await signedIn(c))
    const listed = await index.list(session.subject)
    const live = await Promise.all(listed.map((entry) => sessions.exists(entry.hash)))
    await sessions.require(hash)
    const body: OwnSessions = {
      sessions: listed
        .filter((_, position) => live[position])
        .map((entry) => ({
          id: handleOf(entry.hash),
          current: entry.hash === hash,
          ends_at: new Date(entry.endsAtMs).toISOString(),
          ...(isReadable(entry)
            ? {
                device: entry.device,
                address: entry.address,
                started_at: new Date(entry.startedAtMs).toISOString(),
                last_used_at: new Date(entry.lastUsedAtMs).toISOString(),
              }
            : { device: null, address: null, started_at: null, last_used_at: null }),
        })),
    }
    return c.json(body)
  })

  app.delete('/auth/sessions/:id', async (c) => {
    const { session, hash } = await signedIn(c)
    const found = (await index.list(session.subject)).find(
      (entry) => handleOf(entry.hash) === c.req.param('id'),
    )
    await sessions.require(hash)
    if (found) await reauthentication.require(accountOf(session.subject))
    if (!found || !(await endSessions.one(session, found.hash))) {
      throw bffErrors.sessionUnknown('You have no session of this id.')
    }
    if (found.hash === hash) cookies.clearSessionId(c)
    audit(c, { action: 'session_revocation', outcome: 'done', who: session, sessions: 1 })
    return c.body(null, 204)
  })

  app.delete('/auth/sessions', async (c) => {
    const { session, hash } = await signedIn(c)
    await sessions.require(hash)
    const ended = await revokeAllOf(accountOf(session.subject))
    cookies.clearSessionId(c)
    audit(c, { action: 'session_revocation', outcome: 'done', who: session, sessions: ended })
    return revoked(c, ended)
  })

  app.delete('/auth/users/:username/sessions', (c) => revokeAsStaff(c, { username: c.req.param('username') }))

  app.delete('/auth/customers/:customer_id/sessions', (c) =>
    revokeAsStaff(c, { customer_id: c.req.param('customer_id') }),
  )

  async function revokeAsStaff(c: Context<HttpEnv>, whom: NamedByStaff): Promise<Response> {
    // With a fresh token: a role that was taken away must not end anybody's sessions.
    const { session, hash } = await noteUse(c, await freshen(c, await signedIn(c)))
    const event = { action: 'session_revocation', who: session, whom } as const
    if (!session.user.roles.includes(reportAdminRole)) {
      audit(c, { ...event, outcome: 'refused', reason: bffErrors.notAllowed.code })
      throw bffErrors.notAllowed(
        `Only accounts with the role ${reportAdminRole} may end other people's sessions.`,
      )
    }
    const accounts = await index.accountsOf(whom)
    if (accounts.length === 0) {
      audit(c, { ...event, outcome: 'failed', reason: bffErrors.userUnknown.code })
      throw bffErrors.userUnknown('No session of theirs is known, nor was within the life of one.')
    }
    await sessions.require(hash)
    let ended = 0
    for (const account of accounts) ended += await revokeAllOf(account)
    audit(c, { ...event, outcome: 'done', sessions: ended })
    return revoked(c, ended)
  }

  async function revokeAllOf(account: string): Promise<number> {
    await reauthentication.require(account)
    return endSessions.all({ account })
  }

  function revoked(c: Context<HttpEnv>, ended: number): Response {
    const body: RevokedSessions = { ended }
    return c.json(body)
  }

  return app
}
