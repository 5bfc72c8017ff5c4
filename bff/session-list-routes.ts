import type { OwnSessions, RevokedSessions } from '@tendon/contracts/session-api.ts'
import type { HttpApp, HttpEnv } from '@tendon/platform/http-app.ts'
import { type Context, Hono } from 'hono'
import type { Audit } from './audit.ts'
import type { Cookies } from './cookies.ts'
import type { EndSessions } from './end-sessions.ts'
import { bffErrors } from './errors.ts'
import type { Reauthentication } from './reauthentication.ts'
import type { SessionIndex } from './session-index.ts'
import type { SessionStore } from './session-store.ts'
import type { Freshen, NoteUse, SignedIn } from './signed-in.ts'

/** Whoever reads every customer's reports may also end a customer's sessions. */
const staffRole = 'report-admin'

/**
 * `GET /auth/sessions`, `DELETE /auth/sessions/:id`, `DELETE /auth/sessions`: a person's own sessions; and
 * `DELETE /auth/users/:username/sessions` for the staff.
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
    const body: OwnSessions = {
      sessions: listed
        .filter((_, position) => live[position])
        .map((entry) => ({
          id: entry.handle,
          current: entry.hash === hash,
          device: entry.device,
          address: entry.address,
          started_at: new Date(entry.startedAtMs).toISOString(),
          last_used_at: new Date(entry.lastUsedAtMs).toISOString(),
          ends_at: new Date(entry.endsAtMs).toISOString(),
        })),
    }
    return c.json(body)
  })

  app.delete('/auth/sessions/:id', async (c) => {
    const { session, hash } = await signedIn(c)
    const found = (await index.list(session.subject)).find(({ handle }) => handle === c.req.param('id'))
    if (found) await reauthentication.require(session.subject)
    if (!found || !(await endSessions.one(session, found.hash))) {
      throw bffErrors.sessionUnknown('You have no session of this id.')
    }
    if (found.hash === hash) cookies.clearSessionId(c)
    audit(c, { action: 'session_revocation', outcome: 'done', who: session, sessions: 1 })
    return c.body(null, 204)
  })

  app.delete('/auth/sessions', async (c) => {
    const { session } = await signedIn(c)
    const ended = await revokeAllOf(session.subject)
    cookies.clearSessionId(c)
    audit(c, { action: 'session_revocation', outcome: 'done', who: session, sessions: ended })
    return revoked(c, ended)
  })

  app.delete('/auth/users/:username/sessions', async (c) => {
    // With a fresh token: a role that was taken away must not end anybody's sessions.
    const { session } = await noteUse(c, await freshen(c, await signedIn(c)))
    const username = c.req.param('username')
    if (!session.user.roles.includes(staffRole)) {
      const { code: reason } = bffErrors.notAllowed
      audit(c, { action: 'session_revocation', outcome: 'refused', who: session, whom: { username }, reason })
      throw bffErrors.notAllowed(`Only accounts with the role ${staffRole} may end other people's sessions.`)
    }
    const subject = await index.subjectOf(username)
    const ended = subject === undefined ? 0 : await revokeAllOf(subject)
    audit(c, {
      action: 'session_revocation',
      outcome: 'done',
      who: session,
      whom: { username },
      sessions: ended,
    })
    return revoked(c, ended)
  })

  async function revokeAllOf(subject: string): Promise<number> {
    await reauthentication.require(subject)
    return endSessions.all({ sub: subject })
  }

  function revoked(c: Context<HttpEnv>, ended: number): Response {
    const body: RevokedSessions = { ended }
    return c.json(body)
  }

  return app
}
