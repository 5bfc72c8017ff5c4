import { readFile, writeFile } from 'node:fs/promises'
import { type CaseResult, isMet, type Measurement, readResults, type ServerVersions } from './results.ts'

export const readmePath = new URL('./README.md', import.meta.url)

const begin = '<!-- results: written by `npm run bench -- --write` -->'
const end = '<!-- end of results -->'

/** The page with the kept results between its two marks. */
export async function renderReadme(): Promise<string> {
  const page = await readFile(readmePath, 'utf8')
  const from = page.indexOf(begin)
  const to = page.indexOf(end)
  if (from < 0 || to < from) throw new Error(`${readmePath.pathname} has lost the marks around its results.`)
  const sections = (await readResults()).map(renderMarkdown)
  return `${page.slice(0, from + begin.length)}\n\n${sections.join('\n')}\n${page.slice(to)}`
}

export async function writeReadme(): Promise<void> {
  await writeFile(readmePath, await renderReadme())
}

function renderMarkdown(result: CaseResult): string {
  const [head, ...rows] = alignedTable(result)
  const rule = head!.map((cell, column) =>
    isText(column) ? '-'.repeat(cell.length) : `${'-'.repeat(cell.length - 1)}:`,
  )
  const lines = [head!, rule, ...rows].map((row) => `| ${row.join(' | ')} |`)
  return [`### ${result.case}: ${result.title}`, '', describeRun(result), '', ...lines, ''].join('\n')
}

/** The same for a terminal. */
export function renderText(result: CaseResult): string {
  const lines = alignedTable(result).map((row) => row.join('  ').trimEnd())
  return [`${result.case}: ${result.title}`, describeRun(result), '', ...lines, ''].join('\n')
}

/** Cells padded to the width of their column, its head first: as the formatter would have them in Markdown. */
function alignedTable({ measurements }: CaseResult): string[][] {
  const rows = [['what', 'measured', 'range', 'target', 'met'], ...measurements.map(cells)]
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map((row) =>
    row.map((cell, column) =>
      isText(column) ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
    ),
  )
}

/** What was measured and whether that is enough; all between them are figures. */
const isText = (column: number) => column === 0 || column === 4

const serverNames: Required<Record<keyof ServerVersions, string>> = {
  postgresql: 'PostgreSQL',
  clickhouse: 'ClickHouse',
  nginx: 'nginx',
  'oauth2-proxy': 'oauth2-proxy',
  minio: 'MinIO',
  redis: 'Redis',
  'congestion control': 'congestion control',
}

/** Machine, versions and load: a number without them says nothing. */
function describeRun({ machine, servers, load, started_at, duration_s }: CaseResult): string {
  const versions = Object.entries(servers).map(
    ([server, version]) => `${serverNames[server as keyof ServerVersions]} ${version}`,
  )
  return [
    `${started_at.slice(0, 16).replace('T', ' ')} UTC, ${duration_s} s`,
    `${machine.cores} cores (${machine.cpu}), ${machine.memory_gb} GB, Linux ${machine.kernel}`,
    [`Node ${machine.node}`, ...versions].join(', '),
    `load average ${load.load_average_before} before, at most ${load.load_average_max} during; ` +
      `other processes used ${load.cores_used_by_others} cores`,
  ].join('; ')
}

function cells(measurement: Measurement): string[] {
  const { what, value, unit, low, high, samples } = measurement
  const met = isMet(measurement)
  return [
    what,
    withUnit(value, unit),
    low === undefined || high === undefined ? '' : `${figure(low)} – ${figure(high)} (${samples})`,
    target(measurement),
    met === undefined ? '' : met ? 'yes' : 'no',
  ]
}

function target({ atMost, atLeast, unit }: Measurement): string {
  if (atMost !== undefined) return `≤ ${withUnit(atMost, unit)}`
  return atLeast !== undefined ? `≥ ${withUnit(atLeast, unit)}` : ''
}

function withUnit(value: number, unit: Measurement['unit']): string {
  return unit === 'count' ? figure(value) : `${figure(value)} ${unit}`
}

function figure(value: number): string {
  return value.toLocaleString('en', { maximumFractionDigits: 3 })
}
