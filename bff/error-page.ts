import { randomBytes } from 'node:crypto'
import type { TendonError } from '@tendon/platform/errors.ts'
import { type HttpEnv, problemResponse } from '@tendon/platform/http-app.ts'
import type { Context } from 'hono'
import { html } from 'hono/html'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { pageHeaders } from './security-headers.ts'

const style = `
body { font: 1.05rem/1.6 system-ui, sans-serif; color: #1d2733; background: #f6f7f9; margin: 0; }
main { max-width: 34rem; margin: 12vh auto; padding: 2rem; background: #fff; border: 1px solid #d8dee6; border-radius: .5rem; }
h1 { font-size: 1.35rem; margin: 0 0 1rem; }
a { display: inline-block; padding: .6rem 1.2rem; background: #14508c; color: #fff; border-radius: .35rem; text-decoration: none; }
a:focus-visible { outline: 3px solid #f0a500; outline-offset: 2px; }
small { color: #5a6776; }`

/**
 * The problem as a page, where a person sees it and not a program: as text, all of it escaped, with its code and a way
 * to go on.
 * @param options.goOn a path of this site
 */
export async function errorPage(
  c: Context<HttpEnv>,
  error: TendonError,
  options: { https: boolean; goOn: { path: string; text: string } },
): Promise<Response> {
  const { status, title, help } = error.definition
  const nonce = randomBytes(16).toString('base64')
  const page = html`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title>
<style nonce="${nonce}">${style}</style></head>
<body><main>
<h1>${title}</h1>
<p role="alert">${error.message}</p>
<p>${help}</p>
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
