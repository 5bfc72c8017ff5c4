import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Log } from '@tendon/platform/log.ts'
import type Provider from 'oidc-provider'
import { createOidcProvider, type ProviderClient } from './oidc-provider.ts'
import { contentSecurityPolicy, errorPage } from './pages.ts'
import type { Person } from './people.ts'
import { loadProviderKeys } from './provider-keys.ts'
import { openProviderStore, type ProviderStore } from './provider-store.ts'
import { createSignInForm } from './sign-in-form.ts'
import { createSignOutByIdToken } from './sign-out-by-id-token.ts'

export type IdentityProvider = {
  /** Answers a request whose path lies under the issuer's path. */
  handler(request: IncomingMessage, response: ServerResponse): Promise<void>
  start(): Promise<void>
  stop(): Promise<void>
}

/**
 * An OpenID provider in this process, for a demo or a development machine: its people are given, not managed.
 *
 * @param options.issuer the public address, as in `http://localhost:8080/idp`. Every URL it gives out is built on
 *   it and never on a request's Host, so that it works behind a tunnel
 * @param options.dataPath folder of what it keeps over restarts: keys, sessions, grants
 * @param options.demoPasswordsShown whether the sign-in page shows everybody's password
 */
export function createIdentityProvider(options: {
  issuer: string
  dataPath: string
  clients: ProviderClient[]
  people: Person[]
  log: Log
  demoPasswordsShown: boolean
}): IdentityProvider {
  const { clients, people, log } = options
  const issuer = new URL(options.issuer)
  const mountPath = issuer.pathname.replace(/\/$/, '')
  const formTargets = clients.flatMap((client) => ('redirectUris' in client ? client.redirectUris : []))
  const policy = contentSecurityPolicy([...new Set(formTargets.map((uri) => new URL(uri).origin))])
  let running: { store: ProviderStore; answer: Answer } | undefined

  return {
    async start() {
      const store = openProviderStore(options.dataPath)
      const keys = await loadProviderKeys(store)
      const provider = createOidcProvider({
        issuer: options.issuer,
        mountPath,
        store,
        keys,
        clients,
        people,
        log,
      })
      const demoLogins = options.demoPasswordsShown ? people : []
      const signInForm = createSignInForm({ provider, mountPath, people, demoLogins, log })
      const signOut = createSignOutByIdToken({ provider, store, log })
      running = { store, answer: createAnswer(provider, [signInForm, signOut]) }
    },
    async handler(request, response) {
      response.setHeader('content-security-policy', policy)
      response.setHeader('x-content-type-options', 'nosniff')
      // Not no-referrer: browsers then send `Origin: null` with a form.
      response.setHeader('referrer-policy', 'same-origin')
      if (!running) return answerPlainly(response, 503, 'Sign-in is not ready yet. Try again in a moment.')
      if (!request.url?.startsWith(`${mountPath}/`))
        return answerPlainly(response, 404, 'Nothing is found at this address.')
      bindToIssuer(request, issuer, mountPath)
      try {
        await running.answer(request, response)
      } catch (err) {
        log.warn({ err }, 'sign-in request failed')
        if (response.headersSent) return
        const page = await errorPage('This sign-in has expired or was already used.', issuer.origin)
        response.writeHead(400, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' })
        response.end(page)
      }
    },
    async stop() {
      running?.store.close()
      running = undefined
    },
  }
}

function answerPlainly(response: ServerResponse, status: 404 | 503, sentence: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' })
  response.end(`${sentence}\n`)
}

type Answer = (request: IncomingMessage, response: ServerResponse) => Promise<void>

/** Says whether the request was its own. */
type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<boolean>

function createAnswer(provider: Provider, handlers: Handler[]): Answer {
  const protocol = provider.callback()
  return async (request, response) => {
    for (const handle of handlers) if (await handle(request, response)) return
    await protocol(request, response)
  }
}

/**
 * The library builds its URLs on the request's Host and protocol. Both are set to the issuer's here, whatever
 * the client or a proxy in between has sent, and the path is split where the provider is mounted
 * (https://github.com/panva/node-oidc-provider/blob/main/docs/README.md#mounting-oidc-provider).
 */
function bindToIssuer(request: IncomingMessage, issuer: URL, mountPath: string): void {
  const url = request.url ?? '/'
  Object.assign(request, { originalUrl: url })
  request.url = url.slice(mountPath.length)
  delete request.headers['x-forwarded-host']
  request.headers.host = issuer.host
  request.headers['x-forwarded-proto'] = issuer.protocol.slice(0, -1)
}
