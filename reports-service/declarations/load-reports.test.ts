import { appendFile, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadReports, sharedFiles, sharedFolders } from './load-reports.ts'

const serviceFolder = join(import.meta.dirname, '..')

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tendon-reports-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** A folder with one report, as its author leaves it there. */
async function declared(name: string, declaration: string): Promise<URL> {
  const reports = await mkdtemp(join(folder, 'reports-'))
  await mkdir(join(reports, name))
  await writeFile(join(reports, name, 'report.ts'), declaration)
  return pathToFileURL(`${reports}/`)
}

const declaration = (name: string, others = '') => `
import { z } from '${import.meta.resolve('zod')}'
export const report = {
  name: '${name}', title: 'Wear', readers: ['patient'], units: { wear: 'mm' }, data: z.object({}),
  invalidatedBy: 'customer', generationCovers: [], ttlMs: 1000, parameters: z.object({}), row: z.object({ wear: z.number() }),
  days: async () => undefined, compute: async () => ({}), ${others}
}`

/** With all of them an object's name is longer than stores and file systems take. */
const manyParameters = ['a', 'b', 'c', 'd', 'e']
  .map((name) => `${name.repeat(12)}: z.enum(['7777777777777777']).default('7777777777777777')`)
  .join()

test('finds a report by its folder alone', async () => {
  const reports = await loadReports(await declared('wear-weekly', declaration('wear-weekly')))
  expect([...reports.keys()]).toEqual(['wear-weekly'])
})

test('refuses a folder whose report is not declared, or is named otherwise', async () => {
  const wrongs = [
    'export const report = {}',
    'export {}',
    'syntax error',
    declaration('other'),
    // What cannot stand in an object's name, or means something else in an address; what is no table.
    declaration('wear-weekly', 'parameters: z.object({ days: z.string().default("7") })'),
    declaration('wear-weekly', 'parameters: z.object({ days: z.enum(["7"]) })'),
    declaration('wear-weekly', 'parameters: z.object({ days: z.enum(["../7"]).default("../7") })'),
    declaration('wear-weekly', 'parameters: z.object({ user_id: z.enum(["7"]).default("7") })'),
    declaration('wear-weekly', 'parameters: z.object({ units: z.enum(["7"]).default("7") })'),
    declaration('wear-weekly', 'parameters: z.object({ etl_run: z.enum(["7"]).default("7") })'),
    declaration('wear-weekly', `parameters: z.object({ ${manyParameters} })`),
    declaration('wear-weekly', 'row: z.object({ wear: z.array(z.number()) })'),
  ]
  for (const wrong of wrongs) {
    await expect(loadReports(await declared('wear-weekly', wrong)), wrong).rejects.toMatchObject({
      code: 'TENDON-REPORTS-013',
      message: expect.stringContaining('wear-weekly'),
    })
  }
})

test('says what is missing of a declaration', async () => {
  const lacking = await declared(
    'wear-weekly',
    declaration('wear-weekly', 'days: undefined, units: { wear: 7 }'),
  )
  await expect(loadReports(lacking)).rejects.toThrow(
    /wear-weekly could not be loaded: .*expected function.*at days/,
  )
})

test('refuses a number without a unit, wherever it stands, and a unit that no number has', async () => {
  const refusal = async (others: string) => {
    const reports = await declared('wear-weekly', declaration('wear-weekly', others))
    const failure = await loadReports(reports).catch((error: unknown) => error)
    return failure instanceof Error ? failure.message : undefined
  }
  const plain = 'z.object({ total: z.int(), name: z.string() })'
  expect(await refusal(`units: { wear: 'mm', total: 'count' }, data: ${plain}`)).toBeUndefined()
  for (const data of [
    plain,
    'z.object({ total: z.int().nullable() })',
    'z.object({ total: z.number().nullable() })',
    'z.object({ list: z.array(z.object({ total: z.number().optional() })) })',
    'z.object({ total: z.array(z.number()) })',
    'z.object({ total: z.tuple([z.string(), z.number()]) })',
    'z.object({ total: z.record(z.string(), z.number()) })',
    'z.union([z.object({ name: z.string() }), z.object({ total: z.number() })])',
  ]) {
    expect(await refusal(`data: ${data}`), data).toMatch(/ total has none.* at units/)
  }
  expect(await refusal('units: {}')).toMatch(/ wear has none/)
  expect(await refusal("units: { wear: 'mm', length: 'mm' }")).toMatch(/ no number is called length/)
})

test('a declaration is another one when its queries or its code are, and only then', async () => {
  const reports = await declared('wear-weekly', declaration('wear-weekly'))
  const folder = new URL('wear-weekly/', reports)
  const query = new URL('wear.sql', folder)
  const hash = async () => (await loadReports(reports)).get('wear-weekly')?.declaration
  await writeFile(query, 'SELECT 1')
  const first = await hash()
  expect(first).toMatch(/^[0-9a-f]{10}$/)
  await writeFile(new URL('wear-weekly.test.ts', folder), 'another')
  expect(await hash()).toBe(first)
  await writeFile(query, 'SELECT 2')
  const changedQuery = await hash()
  expect(changedQuery).not.toBe(first)
  await writeFile(new URL('report.ts', folder), `${declaration('wear-weekly')}// another way to compute`)
  expect(await hash()).not.toBe(changedQuery)
})

test('a change of any query or code that reports share gives them other names', async () => {
  const service = await mkdtemp(join(folder, 'service-'))
  for (const name of [...sharedFiles, ...sharedFolders]) {
    await cp(join(serviceFolder, name), join(service, name), { recursive: true })
  }
  const reports = await declared('wear-weekly', declaration('wear-weekly'))
  const hash = async () =>
    (await loadReports(reports, pathToFileURL(`${service}/`))).get('wear-weekly')!.declaration
  const seen = [(await loadReports(reports)).get('wear-weekly')!.declaration]
  const files = await readdir(service, { recursive: true, withFileTypes: true })
  const sources = files.filter((file) => file.isFile() && !file.name.endsWith('.test.ts'))
  expect(sources.map(({ name }) => name)).toEqual(expect.arrayContaining(['prostheses.sql', 'csv.ts']))
  for (const { parentPath, name } of sources) {
    await appendFile(join(parentPath, name), '-- another')
    expect(seen, name).not.toContain(await hash())
    seen.push(await hash())
  }
})

test('what the reports import of this service, and that in its turn, is in their names', async () => {
  const files = (await readdir(serviceFolder, { recursive: true })).filter(
    (file) => file.endsWith('.ts') && !file.endsWith('.test.ts'),
  )
  const isNamed = (file: string) =>
    sharedFiles.includes(file) || ['reports/', ...sharedFolders].some((name) => file.startsWith(name))
  const named = files.filter(isNamed)
  expect(named.length).toBeGreaterThan(10)
  for (const file of named) {
    const text = await readFile(join(serviceFolder, file), 'utf8')
    const imported = [...text.matchAll(/^(?:import|\} from) .*'(\.\.?\/.*)'$/gm)].map(([, name]) =>
      relative(serviceFolder, resolve(serviceFolder, dirname(file), name!)),
    )
    // Types, what binds may be, and errors: nothing that a report is made of.
    const others = imported.filter(
      (name) => !isNamed(name) && !['declarations/report.ts', 'errors.ts'].includes(name),
    )
    expect(others, file).toEqual([])
  }
})

test('every query says what memory it may cost ClickHouse, and leaves its time to the service', async () => {
  const files = await readdir(serviceFolder, { recursive: true })
  const queries = files.filter((file) => file.endsWith('.sql') && !file.includes('node_modules'))
  expect(queries.length).toBeGreaterThan(5)
  for (const file of queries) {
    const text = await readFile(join(serviceFolder, file), 'utf8')
    expect(text, file).not.toContain('max_execution_time')
    expect(text, file).toMatch(/\nSETTINGS max_memory_usage = \d+(?:, \w+ = \d+)*\n$/)
  }
})
