import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { extname, join, relative, sep } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { HttpApp, HttpEnv } from '@tendon/platform/http-app.ts'
import { platformErrors } from '@tendon/platform/platform-errors.ts'
import { type Context, Hono } from 'hono'
import { getMimeType } from 'hono/utils/mime'
import { errorPage } from './sign-in/error-page.ts'

type StaticFile = {
  body: Buffer
  gzipped: Buffer | undefined
  type: string
  etag: string
  cacheControl: string
}

/** Vite puts a hash of the content into these names, so that they never change. */
const hashedFolder = '/assets/'
const compressibleType = /^(text\/|application\/(javascript|json|manifest\+json)|image\/svg)/
/**
 * The files of the web application, read once into memory: a request can only name what was found then, so no
 * path leads out of the folder. Its one page is at `/`; whoever opens an address that is nothing is shown a page that says so.
 */
export function createStaticFiles(options: { webRoot: string | undefined; https: boolean }): {
  app: HttpApp
  load(): Promise<void>
} {
  const { webRoot, https } = options
  let files = new Map<string, StaticFile>()
  const app = new Hono<HttpEnv>()

  app.get('*', async (c, next) => {
    const { path } = c.req
    const file = files.get(path === '/' ? '/index.html' : path)
    if (!file) return isOpened(c) ? notFoundPage(c) : next()
    c.header('cache-control', file.cacheControl)
    c.header('etag', file.etag)
    c.header('vary', 'Accept-Encoding')
    if (c.req.header('if-none-match') === file.etag) return c.body(null, 304)
    c.header('content-type', file.type)
    const gzipped = /\bgzip\b/.test(c.req.header('accept-encoding') ?? '') ? file.gzipped : undefined
    if (gzipped) c.header('content-encoding', 'gzip')
    return c.body(new Uint8Array(gzipped ?? file.body))
  })

  function notFoundPage(c: Context<HttpEnv>): Promise<Response> {
    c.header('cache-control', 'no-store')
    const error = platformErrors.notFound(`Nothing is found at ${c.req.path}.`)
    return errorPage(c, error, { https, goOn: { path: '/', text: 'To the reports' } })
  }

  return {
    app,
    async load() {
      if (webRoot) files = await readFiles(webRoot)
    },
  }
}

/** Whether a person opens the address, and not a program or a page asks for a part. */
const isOpened = (c: Context<HttpEnv>) => c.req.header('accept')?.includes('text/html') ?? false

async function readFiles(root: string): Promise<Map<string, StaticFile>> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true })
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const files = paths.map(async (path) => {
    const url = `/${relative(root, path).split(sep).join('/')}`
    return [url, await readStaticFile(path, url)] as const
  })
  return new Map(await Promise.all(files))
}

async function readStaticFile(path: string, url: string): Promise<StaticFile> {
  const body = await readFile(path)
  const type = getMimeType(extname(path)) ?? 'application/octet-stream'
  return {
    body,
    gzipped: compressibleType.test(type) ? await promisify(gzip)(body) : undefined,
    type,
    // Weak, for the same tag stands for both encodings (RFC 9110 §8.8.3.3).
    etag: `W/"${createHash('sha256').update(body).digest('base64url').slice(0, 27)}"`,
    cacheControl: cacheControl(url),
  }
}

function cacheControl(url: string): string {
  if (url === '/index.html') return 'no-store'
  return url.startsWith(hashedFolder) ? 'public, max-age=31536000, immutable' : 'public, max-age=300'
}
