import { randomBytes } from 'node:crypto'
import { inPlainWords } from '@tendon/contracts/plain-words.ts'
import type { TendonError } from '@tendon/platform/errors.ts'
import { type HttpEnv, problemResponse } from '@tendon/platform/http-app.ts'
import type { Context } from 'hono'
import { html } from 'hono/html'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { bffErrors } from '../errors.ts'
import { pageHeaders } from '../protection/security-headers.ts'
import { pageStyle } from './page-style.ts'

const style = `${pageStyle}
  main { max-width: 34rem }
  a { display: inline-block; padding: .6rem 1.2rem; background: var(--accent); color: var(--on-accent); font-weight: 600;
    border-radius: .4rem; text-decoration: none }
  p { overflow-wrap: anywhere }
  small { color: var(--soft) }
`

/**
 * The problem as a page, where a person sees it and not a program: in plain words, with its code and a way to go on; and
 * with what the provider said, as text, where it refused: it may say why. What an operator reads is in the log under the
 * request's id.
 * @param options.goOn a path of this site
 */
export async function errorPage(
  c: Context<HttpEnv>,
  error: TendonError,
  options: { https: boolean; goOn: { path: string; text: string } },
): Promise<Response> {
  const { status } = error.definition
  const { title, advice } = inPlainWords({ code: error.code, status })
  const nonce = randomBytes(16).toString('base64')
  const page = html`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="/icon.svg" type="image/svg+xml"><title>${title} · Tendon</title>
<style nonce="${nonce}">${style}</style></head>
<body><main><p class="brand">Tendon</p>
<h1>${title}</h1>
<p role="alert">${advice}</p>
${error.code === bffErrors.signInRefused.code && html`<p><small>${error.message}</small></p>`}
<p><a href="${options.goOn.path}">${options.goOn.text}</a></p>
<p><small>${error.code}, request ${c.get('requestId')}</small></p>
</main></body>
</html>`
  const headers = pageHeaders({ https: options.https, cdnOrigin: undefined, nonce })
  for (const [name, value] of Object.entries(headers)) c.header(name, value)
  const retryAfter = problemResponse(c, error).headers.get('retry-after')
  if (retryAfter) c.header('retry-after', retryAfter)
  return c.html(page, status as ContentfulStatusCode)
}
