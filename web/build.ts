import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access, chmod, glob, mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Log } from '@tendon/platform/log.ts'
import { webErrors } from './errors.ts'

const repository = fileURLToPath(new URL('..', import.meta.url))
const distFolder = fileURLToPath(new URL('dist', import.meta.url))

/** Everything the pages are made of, the bundler's version (in the lock file) included. */
const sourcePatterns = [
  'web/{src,public}/**/*.*',
  'web/{index.html,errors.ts,vite-build.ts}',
  'contracts/*.ts',
  'platform/errors.ts',
  'package-lock.json',
  'tsconfig.json',
]

/**
 * Builds the pages unless the newest build was made from the same sources.
 * Builds lie side by side, named by the hash of their sources, and appear by one rename: a server never
 * sees half a build, and two processes that build at once do no harm.
 * @returns the folder to serve: `index.html`, never cached, and `assets/`, whose names carry their hash
 * @throws TENDON-WEB-003 with the bundler's words as the cause
 */
export async function buildWeb({ log }: { log?: Log } = {}): Promise<string> {
  const hash = await hashSources()
  const target = join(distFolder, hash)
  if (await exists(join(target, 'index.html'))) return target

  const startedAt = performance.now()
  await mkdir(distFolder, { recursive: true })
  const staging = await mkdtemp(join(distFolder, `${hash}.`))
  try {
    await runBundler(staging)
    await chmod(staging, 0o755)
    await publish(staging, target)
  } finally {
    await rm(staging, { recursive: true, force: true })
  }
  await removeOlderBuilds(hash)
  log?.info({ duration_ms: Math.round(performance.now() - startedAt) }, 'pages built')
  return target
}

async function hashSources(): Promise<string> {
  const hash = createHash('sha256')
  const paths: string[] = []
  for await (const path of glob(sourcePatterns, { cwd: repository })) paths.push(path)
  for (const path of paths.sort()) {
    if (path.endsWith('.test.ts')) continue
    hash
      .update(path)
      .update('\0')
      .update(await readFile(join(repository, path)))
  }
  return hash.digest('hex').slice(0, 16)
}

/** A child process, so that the bundler's memory (275 MB at its peak, measured) is not kept by the service that needs the pages. */
async function runBundler(outFolder: string): Promise<void> {
  const script = fileURLToPath(new URL('vite-build.ts', import.meta.url))
  const env = { ...process.env, NODE_ENV: 'production', NO_COLOR: '1' }
  try {
    await promisify(execFile)(process.execPath, [script, outFolder], { cwd: repository, env })
  } catch (cause) {
    throw webErrors.buildFailed('The bundler stopped with an error.', { cause })
  }
}

async function publish(staging: string, target: string): Promise<void> {
  try {
    await rename(staging, target)
  } catch (error) {
    // Another process published the same sources first.
    if (!(await exists(join(target, 'index.html')))) throw error
  }
}

async function removeOlderBuilds(hash: string): Promise<void> {
  for (const name of await readdir(distFolder)) {
    if (!name.startsWith(hash)) await rm(join(distFolder, name), { recursive: true, force: true })
  }
}

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  )

if (import.meta.main) process.stdout.write(`${await buildWeb()}\n`)
