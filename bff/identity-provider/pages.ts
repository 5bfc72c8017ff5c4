import { createHash } from 'node:crypto'
import { html, raw } from 'hono/html'

const style = `
  :root { color-scheme: light dark; --ink: #12262b; --paper: #f3f5f2; --card: #fdfefd; --line: #d3dcd9; --soft: #4a5f64;
    --accent: #0b5f58; --on-accent: #fff; --alert: #a11d2b; --alert-paper: #fdecee }
  @media (prefers-color-scheme: dark) { :root { --ink: #e3edea; --paper: #0d1517; --card: #152022; --line: #2b3a3c;
    --soft: #9db3b0; --accent: #6fd3c3; --on-accent: #06201d; --alert: #ffb3ba; --alert-paper: #3a1a20 } }
  * { box-sizing: border-box }
  body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem; background: var(--paper);
    color: var(--ink); font: 1rem/1.5 system-ui, sans-serif }
  main { width: 100%; max-width: 24rem; padding: 2rem; background: var(--card); border: 1px solid var(--line);
    border-radius: .75rem }
  .brand { margin: 0 0 1.5rem; color: var(--accent); font-weight: 700; letter-spacing: .02em }
  h1 { margin: 0 0 1rem; font-size: 1.5rem; line-height: 1.2 }
  label { display: block; margin-top: 1rem; font-weight: 600 }
  input { width: 100%; margin-top: .25rem; padding: .6rem .75rem; color: inherit; background: transparent; font: inherit;
    border: 1px solid var(--soft); border-radius: .4rem }
  button { width: 100%; margin-top: 1.5rem; padding: .7rem; border: 0; border-radius: .4rem; cursor: pointer;
    background: var(--accent); color: var(--on-accent); font: inherit; font-weight: 600 }
  a { color: var(--accent) }
  :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
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
