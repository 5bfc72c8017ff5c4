import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'

export const oauth2ProxyVersion = '7.15.2'
const module = `github.com/oauth2-proxy/oauth2-proxy/v7@v${oauth2ProxyVersion}`

const cache =
  process.env.TENDON_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'tendon')

/** The peer of the gateway, built from its Go module once. @returns the program's path */
export function oauth2Proxy(): string {
  const folder = join(cache, 'go', `oauth2-proxy-${oauth2ProxyVersion}`)
  const program = join(folder, 'oauth2-proxy')
  if (existsSync(program)) return program
  const work = mkdtempSync(join(tmpdir(), 'tendon-go-'))
  const go = (args: string[], cwd: string) =>
    execFileSync('go', args, {
      cwd,
      encoding: 'utf8',
      env: { ...process.env, GOFLAGS: '-buildvcs=false -modcacherw' },
    })
  try {
    // As the main module: `go install` does not find its versions.
    const { Dir: source } = z
      .object({ Dir: z.string() })
      .parse(JSON.parse(go(['mod', 'download', '-json', module], work)))
    const copy = join(work, 'source')
    cpSync(source, copy, { recursive: true })
    execFileSync('chmod', ['-R', 'u+w', copy])
    go(['build', '-ldflags=-s -w', '-o', join(work, 'oauth2-proxy'), '.'], copy)
    mkdirSync(folder, { recursive: true })
    cpSync(join(work, 'oauth2-proxy'), `${program}.${process.pid}`)
    renameSync(`${program}.${process.pid}`, program)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  return program
}
