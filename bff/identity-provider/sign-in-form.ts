import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Log } from '@tendon/platform/log.ts'
import type Provider from 'oidc-provider'
import { loginPage } from './pages.ts'
import { authenticate, type Person } from './people.ts'
import { readForm } from './read-form.ts'
import { createSignInThrottle } from './sign-in-throttle.ts'

/**
 * The page where name and password are asked for.
 * @returns a handler that says whether the request was its own; it expects the path below the provider's mount
 */
export function createSignInForm(options: {
  provider: Provider
  mountPath: string
  people: Person[]
  /** Shown on the page with their passwords. */
  demoLogins: Person[]
  log: Log
}) {
  const { provider, mountPath, people, demoLogins, log } = options
  const throttle = createSignInThrottle()

  return async (request: IncomingMessage, response: ServerResponse): Promise<boolean> => {
    if (!request.url?.startsWith('/interaction/')) return false
    // Bound to this browser by a cookie; throws when it has expired or belongs to another one.
    const interaction = await provider.interactionDetails(request, response)
    const action = `${mountPath}/interaction/${interaction.uid}`
    const show = async (status: number, view: { username?: string; problem?: string } = {}) => {
      const body = await loginPage({ action, demoLogins, ...view })
      response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' })
      response.end(body)
      return true
    }
    if (request.method !== 'POST') return show(200)

    const form = await readForm(request)
    if (!form) return show(413, { problem: 'That was too long.' })
    const username = form.get('username')?.trim() ?? ''
    const waitMs = throttle.waitMs(username)
    if (waitMs > 0) {
      const seconds = Math.ceil(waitMs / 1000)
      response.setHeader('retry-after', seconds)
      return show(429, { username, problem: `Too many attempts. Try again in ${seconds} s.` })
    }
    const person = authenticate(people, username, form.get('password') ?? '')
    if (!person) {
      throttle.failed(username)
      log.info('sign-in refused: wrong username or password')
      return show(400, { username, problem: 'Wrong username or password.' })
    }
    throttle.succeeded(username)
    await provider.interactionFinished(
      request,
      response,
      { login: { accountId: person.username, amr: ['pwd'] } },
      { mergeWithLastSubmission: false },
    )
    return true
  }
}
