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
  readonly #origins: Record<string, string>

  constructor(options: { origins?: Record<string, string> } = {}) {
    this.#origins = options.origins ?? {}
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
    this.seen.push(url.href, JSON.stringify([...response.headers]), text)
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

  /** Sends the page's only form with these fields filled in. */
  async submit(page: Page, fields: Record<string, string> = {}, stopBefore?: string): Promise<Page> {
    const form = /<form[^>]*action="([^"]*)"[^>]*>([\s\S]*?)<\/form>/.exec(page.text)
    if (!form) throw new Error(`no form at ${page.url.href}: ${page.status} ${page.text}`)
    const hidden = [...(form[2] ?? '').matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g)]
    const body = new URLSearchParams([
      ...hidden.map(([, name = '', value = '']): [string, string] => [name, value]),
      ...Object.entries(fields),
    ])
    return this.open(new URL(form[1] ?? '', page.url), { method: 'POST', body }, stopBefore)
  }

  /** Signs in from the application's login link, up to the page it returns to (or to before `stopBefore`). */
  async signIn(loginUrl: string, username: string, stopBefore?: string): Promise<Page> {
    const page = await this.open(loginUrl, {}, stopBefore)
    return page.text.includes('name="password"')
      ? this.submit(page, { username, password: username }, stopBefore)
      : page
  }

  #cookieHeader(url: URL): string {
    return [...this.cookies.values()]
      .filter((cookie) => cookie.host === url.hostname && url.pathname.startsWith(cookie.path))
      .filter((cookie) => !cookie.attributes.has('secure') || url.protocol === 'https:')
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
