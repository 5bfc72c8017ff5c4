import { execFile, execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cache } from './part.ts'

export function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

function onPath(program: string): string | undefined {
  const folders = [
    '/usr/bin',
    '/usr/sbin',
    '/usr/local/bin',
    '/bin',
    '/sbin',
    ...(process.env.PATH ?? '').split(':'),
  ]
  return folders.map((folder) => join(folder, program)).find((path) => existsSync(path))
}

/** A program of Debian's, with further packages it needs. @returns its path */
export function debianProgram(program: string, ...packages: string[]): string {
  const missing = packages.filter((name) => !isInstalled(name))
  const installed = onPath(program)
  if (installed && missing.length === 0) return installed
  say(`installing ${missing.join(', ')} from Debian`)
  // A policy of 101 keeps the package from starting a server of its own (invoke-rc.d).
  const policy = '/usr/sbin/policy-rc.d'
  const ownPolicy = !existsSync(policy)
  if (ownPolicy) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    execFileSync('apt-get', ['update', '-qq'], { stdio: ['ignore', 'ignore', 'inherit'] })
    execFileSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...missing], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    })
  } finally {
    if (ownPolicy) rmSync(policy)
  }
  return onPath(program)!
}

function isInstalled(name: string): boolean {
  try {
    const status = execFileSync('dpkg', ['--status', name], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return status.includes('\nStatus: install ok installed\n')
  } catch {
    return false
  }
}

/**
 * A program of a Go module, built once.
 * @param source the package of its `main`
 * @returns its path
 */
export async function goProgram(program: string, source: string, version: string): Promise<string> {
  const folder = join(cache, 'go', `${program}-${version}`)
  const path = join(folder, program)
  if (existsSync(path)) return path
  say(`building ${program} ${version} (some minutes, once)`)
  // As a dependency: `go install` refuses a module that replaces or excludes others, as compose's does.
  const module = mkdtempSync(join(tmpdir(), 'tendon-go-'))
  try {
    await go(module, 'mod', 'init', 'tendon.invalid/program')
    await go(module, 'get', `${source}@${version}`)
    await go(module, 'build', '-o', path, source)
  } finally {
    rmSync(module, { recursive: true, force: true })
  }
  return path
}

/** @throws with what it printed; it is silent otherwise, and fetching is what it tells most about */
async function go(cwd: string, ...args: string[]): Promise<void> {
  await promisify(execFile)('go', args, { cwd, env: { ...process.env, CGO_ENABLED: '0' }, maxBuffer: 1e8 })
}

/** Kafka, Connect and Keycloak run on a JDK, and Maven fetches them: where there is none on the path, Debian's. */
export function needJava(): void {
  if (!onPath('javac')) debianProgram('javac', 'default-jdk-headless')
  if (!onPath('mvn')) debianProgram('mvn', 'maven')
}

/**
 * What `mvn package` makes of a folder with a pom.xml, built once for each state of its files.
 * @param parts files and folders in it that are its source
 * @returns the folder in which it was built
 */
export function mavenProject(source: string, parts: string[]): string {
  needJava()
  const hash = createHash('sha256')
  for (const file of filesBelow(source, parts)) hash.update(file).update(readFileSync(join(source, file)))
  const folder = join(cache, 'maven', hash.digest('hex').slice(0, 16))
  if (existsSync(folder)) return folder
  say('fetching and building with Maven (a minute, once)')
  mkdirSync(join(cache, 'maven'), { recursive: true })
  const unfinished = `${folder}.${process.pid}`
  for (const part of parts) cpSync(join(source, part), join(unfinished, part), { recursive: true })
  try {
    execFileSync('mvn', ['--batch-mode', '--quiet', 'package'], {
      cwd: unfinished,
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    renameSync(unfinished, folder)
  } finally {
    rmSync(unfinished, { recursive: true, force: true })
  }
  return folder
}

function filesBelow(folder: string, parts: string[]): string[] {
  return parts.flatMap((part) => {
    if (!statSync(join(folder, part)).isDirectory()) return [part]
    return filesBelow(
      folder,
      readdirSync(join(folder, part))
        .toSorted()
        .map((name) => join(part, name)),
    )
  })
}
