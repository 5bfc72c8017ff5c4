/**
 * For `app.mount(prefix, …, { replaceRequest })`: the request without the prefix, its path as it came. What Hono would make of it
 * itself has a decoded path, by which a link is good in many spellings.
 */
export function belowPrefix(prefix: string): (request: Request) => Request {
  return (request) => {
    const url = new URL(request.url)
    // A prefix in another spelling stays, and nothing that is signed begins with it.
    if (url.pathname.startsWith(`${prefix}/`)) url.pathname = url.pathname.slice(prefix.length)
    return new Request(url, request)
  }
}
