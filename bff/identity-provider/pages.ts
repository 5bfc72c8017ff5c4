import { createHash } from 'node:crypto'
import { html, raw } from 'hono/html'
import { pageStyle } from '../sign-in/page-style.ts'

const style = `${pageStyle}
  main { max-width: 24rem }
  label { display: block; margin-top: 1rem; font-weight: 600 }
  input { width: 100%; margin-top: .25rem; padding: .6rem .75rem; color: inherit; background: transparent; font: inherit;
    border: 1px solid var(--soft); border-radius: .4rem }
  button { width: 100%; margin-top: 1.5rem; padding: .7rem; border: 0; border-radius: .4rem; cursor: pointer;
    background: var(--accent); color: var(--on-accent); font: inherit; font-weight: 600 }
  a { color: var(--accent) }
  [role=alert] { margin: 0; padding: .6rem .75rem; border-radius: .4rem; background: var(--alert-paper); color: var(--alert) }
  aside { margin-top: 1.5rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--soft); font-size: .9rem }
  aside p { margin: 0 0 .25rem } dl { margin: 0; display: grid; grid-template-columns: auto 1fr; gap: 0 1rem } dd { margin: 0 }
`
/** The one script there is: a sign-out that the application asked for needs no second click. */
const submitScript = 'document.forms[0].submit()'

const sha256 = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`

/**
 * The policy of every page here: nothing but its own style and the one script, by their hashes.
 * @param formTargets origins that a form's answer may redirect to: browsers apply form-action to redirects too
 */
export function contentSecurityPolicy(formTargets: string[]): string {
  return [
    "default-src 'none'",
    `style-src ${sha256(style)}`,
    `script-src ${sha256(submitScript)}`,
    `form-action ${["'self'", ...formTargets].join(' ')}`,
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join('; ')
}

type Html = ReturnType<typeof html>

async function page(title: string, body: Html): Promise<string> {
  return String(
    await html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} · Tendon</title><style>${raw(style)}</style>
</head>
<body><main><p class="brand">Tendon</p>${body}</main></body>
</html>`,
  )
}

/**
 * The sign-in form. It works without JavaScript.
 * @param view.demoLogins shown below the form, with their passwords; empty outside the demo
 */
export function loginPage(view: {
  action: string
  username?: string
  problem?: string
  demoLogins: { username: string; password: string }[]
}): Promise<string> {
  const { action, username = '', problem, demoLogins } = view
  const describedBy = problem ? html` aria-describedby="problem" aria-invalid="true"` : ''
  const focus = (wanted: boolean) => (wanted ? raw(' autofocus') : '')
  return page(
    'Sign in',
    html`<h1>Sign in</h1>
${problem ? html`<p role="alert" id="problem">${problem}</p>` : ''}
<form method="post" action="${action}">
<label for="username">Username</label>
<input id="username" name="username" value="${username}" autocomplete="username" autocapitalize="none" spellcheck="false" required${focus(!problem)}${describedBy}>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required${focus(Boolean(problem))}${describedBy}>
<button type="submit">Sign in</button>
</form>
${
  demoLogins.length > 0
    ? html`<aside><p>Demo logins (username, password)</p><dl>${demoLogins.map(
        (login) => html`<dt>${login.username}</dt><dd>${login.password}</dd>`,
      )}</dl></aside>`
    : ''
}`,
  )
}

/**
 * Asks whether to sign out, or does it at once when the application's own request is proven.
 * @param form the library's form, whose closing tag the button goes before
 */
export function logoutPage(form: string, confirmed: boolean): Promise<string> {
  const withButton = form.replace(
    '</form>',
    '<input type="hidden" name="logout" value="yes"><button type="submit">Sign out</button></form>',
  )
  return page(
    'Sign out',
    html`<h1>Sign out?</h1>${raw(withButton)}${confirmed ? raw(`<script>${submitScript}</script>`) : ''}`,
  )
}

export function signedOutPage(): Promise<string> {
  return page('Signed out', html`<h1>You are signed out</h1>`)
}

export function errorPage(detail: string, homeUrl: string): Promise<string> {
  return page(
    'Sign-in failed',
    html`<h1>That did not work</h1><p role="alert">${detail}</p><p><a href="${homeUrl}">Start again</a></p>`,
  )
}
