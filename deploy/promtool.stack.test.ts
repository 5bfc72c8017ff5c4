import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { debianProgram } from './native/install.ts'
import { deployFile } from './native/part.ts'

const alerts = deployFile('alerts')
const files = readdirSync(alerts)

test.each(files.filter((name) => name.endsWith('.rules.yml')))('%s can be loaded', (file) => {
  expect(promtool(alerts, 'check', 'rules', '--lint-fatal', file)).toContain('SUCCESS')
  const read = (name: string) => readFileSync(join(alerts, name), 'utf8')
  const tried = read(file.replace('.yml', '.test.yml'))
  const named = [...read(file).matchAll(/alert: (\w+)/g)].map(([, name]) => name!)
  expect(named.filter((name) => !tried.includes(`alertname: ${name}\n`))).toEqual([])
})

test.each(files.filter((name) => name.endsWith('.rules.test.yml')))('%s holds', (file) => {
  expect(promtool(alerts, 'test', 'rules', file)).toContain('SUCCESS')
})

type Dashboard = { panels: { title: string; targets: { expr: string }[] }[] }

test.each(readdirSync(deployFile('dashboards')))('Prometheus understands what %s asks for', (name) => {
  const { panels }: Dashboard = JSON.parse(readFileSync(deployFile(`dashboards/${name}`), 'utf8'))
  const rules = panels.flatMap(({ title, targets }) =>
    targets.map(({ expr }, n) => ({
      record: 'panel',
      labels: { title, n: String(n) },
      // Grafana puts its own interval there.
      expr: expr.replaceAll('$__rate_interval', '5m'),
    })),
  )
  expect(rules.length).toBeGreaterThan(5)
  const folder = mkdtempSync(join(tmpdir(), 'tendon-dashboard-'))
  try {
    // JSON is YAML.
    writeFileSync(join(folder, 'rules.yml'), JSON.stringify({ groups: [{ name, rules }] }))
    const said = promtool(folder, 'check', 'rules', '--lint-fatal', 'rules.yml')
    expect(said).toContain(`SUCCESS: ${rules.length} rules found`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

function promtool(cwd: string, ...args: string[]): string {
  return execFileSync(debianProgram('promtool', 'prometheus'), args, { cwd, encoding: 'utf8' })
}
