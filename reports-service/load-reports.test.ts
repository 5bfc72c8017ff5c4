import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadReports } from './load-reports.ts'

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

const declaration = (name: string) => `
import { z } from '${import.meta.resolve('zod')}'
export const report = {
  name: '${name}', title: 'Wear', readers: ['patient'], units: {}, data: z.object({}),
  days: async () => undefined, compute: async () => ({}),
}`

test('finds a report by its folder alone', async () => {
  const reports = await loadReports(await declared('wear-weekly', declaration('wear-weekly')))
  expect([...reports.keys()]).toEqual(['wear-weekly'])
})

test('refuses a folder whose report is not declared, or is named otherwise', async () => {
  for (const wrong of ['export const report = {}', 'export {}', 'syntax error', declaration('other')]) {
    await expect(loadReports(await declared('wear-weekly', wrong)), wrong).rejects.toMatchObject({
      code: 'TENDON-REPORTS-013',
      message: expect.stringContaining('wear-weekly'),
    })
  }
})

test('every query says what it may cost ClickHouse', async () => {
  const files = await readdir(import.meta.dirname, { recursive: true })
  const queries = files.filter((file) => file.endsWith('.sql') && !file.includes('node_modules'))
  expect(queries.length).toBeGreaterThan(5)
  for (const file of queries) {
    expect(await readFile(join(import.meta.dirname, file), 'utf8'), file).toMatch(
      /\nSETTINGS max_execution_time = \d+, max_memory_usage = \d+\n$/,
    )
  }
})
