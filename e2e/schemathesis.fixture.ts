import { execFile, execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'

const version = '4.32.5'
const cache =
  process.env.TENDON_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'tendon')

/** The fuzzer, from PyPI, installed once. @returns the program's path */
function schemathesis(): string {
  const folder = join(cache, 'python', `schemathesis-${version}`)
  const program = join(folder, 'bin', 'schemathesis')
  if (existsSync(program)) return program
  mkdirSync(join(cache, 'python'), { recursive: true })
  const python = (...args: string[]) =>
    execFileSync('python3', args, { stdio: ['ignore', 'ignore', 'inherit'] })
  try {
    // In its place: the programs of an environment name the folder that they were installed in.
    python('-m', 'venv', folder)
    execFileSync(join(folder, 'bin', 'pip'), ['install', '--quiet', `schemathesis==${version}`])
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
  return program
}

/** What no answer may be: a failure of ours, or another than the description says. */
const checks =
  'not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance'

/**
 * Asks a service for everything that its description allows, and much that it does not, the same each time.
 * @returns what was found; empty when nothing was
 */
export function fuzz(options: {
  url: string
  headers: Record<string, string>
  /** Paths as the description has them; all unless told. */
  only?: string[]
  exclude?: string[]
}): Promise<string> {
  const { url, headers, only = [], exclude = [] } = options
  const args = [
    ...['run', `${url}/openapi.json`, '--checks', checks, '--seed', '1', '--max-examples', '15'],
    ...['--generation-database', 'none', '--phases', 'examples,coverage,fuzzing', '--no-color'],
    ...Object.entries(headers).flatMap(([name, value]) => ['--header', `${name}: ${value}`]),
    ...only.flatMap((path) => ['--include-path', path]),
    ...exclude.flatMap((path) => ['--exclude-path', path]),
  ]
  // It keeps what it found in the folder where it runs.
  const cwd = mkdtempSync(join(tmpdir(), 'tendon-fuzz-'))
  const program = schemathesis()
  return new Promise((resolve) => {
    execFile(program, args, { cwd, maxBuffer: 1e8 }, (error, stdout, stderr) => {
      rmSync(cwd, { recursive: true, force: true })
      resolve(error ? stdout + stderr : '')
    })
  })
}
