import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { debianProgram } from '../native/install.ts'

const folder = fileURLToPath(new URL('.', import.meta.url))
const dashboards = readdirSync(folder).filter((name) => name.endsWith('.json'))

type Dashboard = { panels: { title: string; targets: { expr: string }[] }[] }

test.each(dashboards)('Prometheus understands what %s asks for', (name) => {
  const { panels }: Dashboard = JSON.parse(readFileSync(join(folder, name), 'utf8'))
  const rules = panels.flatMap(({ title, targets }) =>
    // Grafana puts its own interval there.
    targets.map(({ expr }, n) => ({
      record: 'panel',
      labels: { title, n: String(n) },
      expr: expr.replaceAll('$__rate_interval', '5m'),
    })),
  )
  const checked = mkdtempSync(join(tmpdir(), 'tendon-dashboard-'))
  try {
    // JSON is YAML.
    writeFileSync(join(checked, 'rules.yml'), JSON.stringify({ groups: [{ name, rules }] }))
    const args = ['check', 'rules', '--lint-fatal', 'rules.yml']
    const said = execFileSync(debianProgram('promtool', 'prometheus'), args, {
      cwd: checked,
      encoding: 'utf8',
    })
    expect(said).toContain(`SUCCESS: ${rules.length} rules found`)
    expect(rules.length).toBeGreaterThan(5)
  } finally {
    rmSync(checked, { recursive: true, force: true })
  }
})
