import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { errorPage, errorPagePath } from './error-page.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** The folders in the order of the arrows (ARCHITECTURE.md): a folder imports only from earlier groups. */
const layers = [
  ['platform', 'contracts', 'chdb-server'],
  ['sources', 'warehouse'],
  ['cdc', 'etl', 'reports-service', 'cdn', 'bff', 'web'],
  ['embedded'],
  ['e2e', 'bench'],
]
/** A leaf knows nothing of Tendon at all. */
const leaves = new Set(['platform', 'contracts', 'chdb-server'])

const tracked = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter(Boolean)
/** deploy/ stands outside of the order: nothing imports it, and it takes only the embedded PostgreSQL's binaries. */
const sources = tracked.filter(
  (file) => /\.tsx?$/.test(file) && file.includes('/') && !file.startsWith('deploy/'),
)

const read = (file: string) => readFileSync(join(root, file), 'utf8')

function layerOf(folder: string): number {
  return layers.findIndex((layer) => layer.includes(folder))
}

/** The other workspaces a file imports, statically or dynamically; relative paths that leave the folder count. */
function importedWorkspaces(file: string): string[] {
  const text = read(file)
  const specifiers = [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1]!)
  const folder = file.split('/')[0]!
  return specifiers.flatMap((specifier) => {
    const workspace = /^@tendon\/([^/]+)\//.exec(specifier)?.[1]
    if (workspace) return workspace === folder ? [] : [workspace]
    const depth = file.split('/').length - 2
    const climbs = /^(?:\.\.\/)+/.exec(specifier)?.[0].length ?? 0
    return climbs / 3 > depth ? [`outside of ${folder}: ${specifier}`] : []
  })
}

/** Test files may start the real parts that stand to the left of the services, but never another service. */
function mayImport(file: string, imported: string): boolean {
  const folder = file.split('/')[0]!
  if (leaves.has(folder)) return false
  const [from, to] = [layerOf(folder), layerOf(imported)]
  return to !== -1 && to < from
}

test('every source file stands in a folder of the design', () => {
  const strangers = sources.filter((file) => layerOf(file.split('/')[0]!) === -1)
  expect(strangers).toEqual([])
})

test('a folder imports only from folders to its left', () => {
  const wrong = sources.flatMap((file) =>
    importedWorkspaces(file)
      .filter((imported) => !mayImport(file, imported))
      .map((imported) => `${file} imports ${imported}`),
  )
  expect(wrong).toEqual([])
})

test('deploy/ imports none of the services', () => {
  const files = tracked.filter((file) => file.startsWith('deploy/') && file.endsWith('.ts'))
  expect(files.flatMap(importedWorkspaces).filter((folder) => folder !== 'sources')).toEqual([])
})

test('the rule itself refuses what the design forbids', () => {
  expect(mayImport('etl/a.ts', 'cdc')).toBe(false)
  expect(mayImport('platform/a.ts', 'contracts')).toBe(false)
  expect(mayImport('sources/a.ts', 'warehouse')).toBe(false)
  expect(mayImport('cdc/a.ts', 'embedded')).toBe(false)
  expect(mayImport('cdc/a.ts', 'warehouse')).toBe(true)
  expect(mayImport('e2e/a.ts', 'embedded')).toBe(true)
})

test('main.ts of a service only wires: under 40 lines', () => {
  const mains = ['cdc', 'etl', 'reports-service', 'bff', 'cdn'].map((folder) => `${folder}/main.ts`)
  for (const file of tracked.filter((path) => mains.includes(path))) {
    expect(read(file).split('\n').length, file).toBeLessThan(40)
  }
})

test('docs/errors.md is what the error tables say (npm run docs)', async () => {
  expect(readFileSync(errorPagePath, 'utf8')).toBe(await errorPage())
})

const pages = tracked.filter((file) => file.endsWith('.md'))

test('every link of a page to a place in the repository leads somewhere', () => {
  const dead = pages.flatMap((page) =>
    [...read(page).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)]
      .map(([, target = '']) => ({ page, target, path: join(root, dirname(page), target) }))
      .filter(({ path }) => !existsSync(path))
      .map(({ target }) => `${page} links to ${target}`),
  )
  expect(dead).toEqual([])
})

test('every command that a page or an error tells people exists', () => {
  const scriptsOf = (workspace = '.') => JSON.parse(read(`${workspace}/package.json`)).scripts
  const unknown = [...pages, ...tracked.filter((file) => file.endsWith('errors.ts'))].flatMap((file) =>
    [...read(file).matchAll(/npm run (?:-s )?([\w:-]+)(?: -w (\w+))?/g)]
      .filter(([, script = '', workspace]) => !(script in scriptsOf(workspace)))
      .map(([text]) => `${file}: ${text}`),
  )
  expect(unknown).toEqual([])
})

/** `%s` of a table of cases, `${…}` of a text, and what the page leaves out may stand for anything. */
const pattern = (text: string) =>
  new RegExp(
    `^${text
      .split(/%[sj]|\$\{[^}]*\}|…/)
      .map((part) => part.trim().replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`))
      .join('.*')}$`,
  )

test('every test that the threat table names is there', () => {
  const table = /## Threats[\s\S]*/.exec(read('docs/sign-in.md'))![0]
  const named = [...table.matchAll(/^\|.*\|(.*)\|$/gm)]
    .slice(2)
    .flatMap(([, cell]) => [...cell!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!))
  const files = tracked.filter((file) => /^(bff|platform)\/.*\.(test|suite)\.ts$/.test(file))
  const titles = files.flatMap((file) =>
    [...read(file).matchAll(/(['"`])((?:(?!\1|\n).)+)\1/g)].map(([, , title]) => title!),
  )
  const missing = named.filter((name) => {
    if (/\.(test|suite)\.ts$/.test(name)) return !files.some((file) => `/${file}`.endsWith(`/${name}`))
    return !titles.some(
      (title) => pattern(name).test(title) || (title.length > 12 && pattern(title).test(name)),
    )
  })
  expect(named.length).toBeGreaterThan(40)
  expect(missing).toEqual([])
})
