import { setTimeout } from 'node:timers/promises'

type Cookie = { name: string; value: string; host: string; path: string; attributes: Map<string, string> }

export type Page = { status: number; url: URL; headers: Headers; text: string }

/**
 * As much of a browser as a sign-in needs, over real HTTP: cookies by host and path, redirects by hand, forms.
 * @param options.origins where an origin is really served, for addresses that stand for a tunnel
 */
export class TestBrowser {
  readonly cookies = new Map<string, Cookie>()
  /** Everything that ever arrived: addresses, headers, bodies. */
  readonly seen: string[] = []
  readonly #pages: [origin: string, ...texts: string[]][] = []
  readonly #origins: Record<string, string>

  constructor(options: { origins?: Record<string, string> } = {}) {
    this.#origins = options.origins ?? {}
  }

  /** What arrived from this origin, and every address that it sent the browser to. */
  seenFrom(origin: string): string[] {
    return this.#pages.filter(([from]) => from === origin).flatMap(([, ...texts]) => texts)
  }

  /** Forgets the cookies of an origin, as when its session has ended. */
  clear(origin: string): void {
    const { hostname } = new URL(origin)
    for (const [key, { host, name }] of this.cookies)
      if (host === hostname && name.endsWith('session_id')) this.cookies.delete(key)
  }

  cookie(name: string): Cookie | undefined {
    return [...this.cookies.values()].find((cookie) => cookie.name === name)
  }

  /** One request, no redirect followed. */
  async request(href: string | URL, init: RequestInit = {}): Promise<Page> {
    const url = new URL(href)
    const headers = new Headers(init.headers)
    headers.set('accept', headers.get('accept') ?? 'text/html')
    if (!headers.has('cookie')) headers.set('cookie', this.#cookieHeader(url))
    const served = (this.#origins[url.origin] ?? url.origin) + url.pathname + url.search
    const response = await fetch(served, { ...init, headers, redirect: 'manual' })
    this.#store(url, response)
    const text = await response.text()
    const texts = [url.href, JSON.stringify([...response.headers]), text]
    this.seen.push(...texts)
    this.#pages.push([url.origin, ...texts])
    return { status: response.status, url, headers: response.headers, text }
  }

  /** Follows redirects until a page, or until `stopBefore` would be asked for. */
  async open(href: string | URL, init: RequestInit = {}, stopBefore?: string): Promise<Page> {
    let page = await this.request(href, init)
    for (let hop = 0; hop < 12 && page.status >= 300 && page.status < 400; hop += 1) {
      const next = new URL(page.headers.get('location') ?? '', page.url)
      if (stopBefore && next.href.startsWith(stopBefore)) return { ...page, url: next }
      page = await this.request(next)
    }
    return page
  }

  /** Sends the page's first form with these fields filled in. */
  async submit(page: Page, fields: Record<string, string> = {}, stopBefore?: string): Promise<Page> {
    const [, opening = '', content = ''] = /(<form[^>]*>)([\s\S]*?)<\/form>/.exec(page.text) ?? []
    if (!opening) throw new Error(`no form at ${page.url.href}: ${page.status} ${page.text}`)
    const given = [...content.matchAll(/<(?:input|button)[^>]*>/g)].map(([tag]): [string, string] => [
      attributeOf(tag, 'name') ?? '',
      attributeOf(tag, 'value') ?? '',
    ])
    const body = new URLSearchParams(Object.entries({ ...Object.fromEntries(given), ...fields }))
    body.delete('')
    const action = new URL(attributeOf(opening, 'action') ?? '', page.url)
    return this.open(action, { method: 'POST', body }, stopBefore)
  }

  /**
   * Signs in from the application's login link, up to the page it returns to (or to before `stopBefore`).
   * Asks some times: Keycloak answers to who is just being signed in elsewhere, by another test, as if the password
   * were wrong (its DefaultBlockingBruteForceProtector; of 600 sign-ins of one account, 8 at a time, it took 78).
   */
  async signIn(loginUrl: string, username: string, stopBefore?: string): Promise<Page> {
    let page = await this.open(loginUrl, {}, stopBefore)
    for (let attempt = 0; attempt < 20 && page.text.includes('name="password"'); attempt += 1) {
      if (attempt > 0) await setTimeout(100)
      page = await this.submit(page, { username, password: username }, stopBefore)
    }
    return page
  }

  #cookieHeader(url: URL): string {
    return [...this.cookies.values()]
      .filter((cookie) => cookie.host === url.hostname && url.pathname.startsWith(cookie.path))
      .filter((cookie) => !cookie.attributes.has('secure') || isTrustworthy(url))
      .map((cookie) => `${cookie.name}=${cookie.value}`)
      .join('; ')
  }

  #store(url: URL, response: Response): void {
    for (const line of response.headers.getSetCookie()) {
      const [pair = '', ...rest] = line.split(/; */)
      const attributes = new Map(
        rest.map((attribute): [string, string] => {
          const [name = '', value = ''] = attribute.split('=')
          return [name.toLowerCase(), value]
        }),
      )
      const name = pair.slice(0, pair.indexOf('='))
      const value = pair.slice(name.length + 1)
      const cookie = { name, value, host: url.hostname, path: attributes.get('path') ?? '/', attributes }
      const expires = attributes.get('expires')
      const gone = attributes.get('max-age') === '0' || (expires && Date.parse(expires) <= Date.now())
      const key = `${cookie.host} ${cookie.path} ${name}`
      if (gone) this.cookies.delete(key)
      else this.cookies.set(key, cookie)
    }
  }
}

/** Where browsers send Secure cookies (Secure Contexts §3.1). */
const isTrustworthy = (url: URL) => url.protocol === 'https:' || url.hostname === 'localhost'

const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" }

function attributeOf(tag: string, name: string): string | undefined {
  const value = new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1]
  return value?.replaceAll(/&(#?\w+);/g, (whole, entity) => entities[entity] ?? whole)
}
