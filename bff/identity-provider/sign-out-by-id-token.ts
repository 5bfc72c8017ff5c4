import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Log } from '@tendon/platform/log.ts'
import { decodeJwt } from 'jose'
import type Provider from 'oidc-provider'
import { z } from 'zod'
import { signedOutPage } from './pages.ts'
import type { ProviderStore } from './provider-store.ts'
import { readForm } from './read-form.ts'

const idTokenHint = z.object({ aud: z.string(), sid: z.string() })

/**
 * `POST /session/end` with an `id_token_hint`: an application ends the session of whom it signs out, itself (OpenID
 * Connect RP-Initiated Logout 1.0 §2). The library takes a POST only with cookies that other sites may send too
 * (`enableHttpPostMethods`), and knows the session by its cookie alone; here it is the one that the ID token names.
 * No other application is told, for people sign in to one.
 * @returns a handler that says whether the request was its own; it expects the path below the provider's mount
 */
export function createSignOutByIdToken(options: { provider: Provider; store: ProviderStore; log: Log }) {
  const { provider, store, log } = options

  /** Good also after its end, as the specification has it; signed here, for this application. */
  async function sessionNamedBy(idToken: string, clientId: string | null): Promise<string> {
    const { aud, sid } = idTokenHint.parse(decodeJwt(idToken))
    const client = await provider.Client.find(aud)
    if (!client || (clientId !== null && clientId !== aud)) throw new Error('another application')
    await provider.IdToken.validate(idToken, client)
    return sid
  }

  async function endSession(sid: string): Promise<void> {
    const id = store.sessionIdOf(sid)
    const session = id === undefined ? undefined : await provider.Session.find(id)
    if (!session) return
    for (const { grantId } of Object.values(session.authorizations ?? {})) {
      // Without it its refresh tokens are refused.
      const grant = grantId === undefined ? undefined : await provider.Grant.find(grantId)
      await grant?.destroy()
    }
    // The last: what failed before it can be done again.
    await session.destroy()
  }

  return async (request: IncomingMessage, response: ServerResponse): Promise<boolean> => {
    if (request.method !== 'POST' || request.url !== '/session/end') return false
    const form = await readForm(request)
    const answer = async (status: number, body: string) => {
      response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' })
      response.end(body)
      return true
    }
    let sid: string
    try {
      sid = await sessionNamedBy(form?.get('id_token_hint') ?? '', form?.get('client_id') ?? null)
    } catch (err) {
      log.warn({ err }, 'sign-out refused')
      return answer(400, 'The ID token is not one that this provider gave the application.\n')
    }
    await endSession(sid)
    return answer(200, await signedOutPage())
  }
}
