import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { ErrorTable } from '@tendon/platform/errors.ts'

const root = new URL('../../', import.meta.url)

/** Where the page stands in the repository. */
export const errorPagePath = fileURLToPath(new URL('docs/errors.md', root))

/** All documented errors, from the `errors.ts` (or `<area>-errors.ts`) of every folder. */
export async function allErrors() {
  const tables = await Promise.all(errorFiles().map(readTable))
  return tables.flatMap((table) => Object.values(table)).sort((a, b) => a.code.localeCompare(b.code))
}

/** Their page. */
export async function errorPage(): Promise<string> {
  const errors = await allErrors()
  const sections = errors.map(
    ({ code, definition: { title, status, help, retryAfterSeconds } }) =>
      `## ${code}\n\n**${title}.** HTTP status ${status}${
        retryAfterSeconds === undefined ? '' : `, try again after ${retryAfterSeconds} s`
      }.\n\n${help}\n`,
  )
  return `# Errors\n\nGenerated from the error tables by \`npm run docs\`: do not edit.\n\n${sections.join('\n')}`
}

function errorFiles(): URL[] {
  const folders = readdirSync(root, { withFileTypes: true }).filter(
    (entry) => entry.isDirectory() && entry.name !== 'node_modules',
  )
  return folders.flatMap((folder) => {
    const base = new URL(`${folder.name}/`, root)
    return readdirSync(base)
      .filter((file) => file === 'errors.ts' || file.endsWith('-errors.ts'))
      .filter((file) => `${folder.name}/${file}` !== 'platform/errors.ts')
      .map((file) => new URL(file, base))
  })
}

async function readTable(file: URL): Promise<ErrorTable> {
  const module = (await import(file.href)) as Record<string, ErrorTable>
  const tables = Object.values(module)
  if (tables.length !== 1) throw new Error(`${file.pathname} should export one error table and nothing else`)
  return tables[0]!
}
