import { readdirSync, readFileSync } from 'node:fs'

const deploy = new URL('../deploy/', import.meta.url)

/** @returns the metrics of Tendon's that the alert rules and dashboards ask for, by file */
export function askedMetrics(): Map<string, Set<string>> {
  const files = ['alerts/', 'dashboards/'].flatMap((folder) =>
    readdirSync(new URL(folder, deploy))
      .filter((name) => name.endsWith('.rules.yml') || name.endsWith('.json'))
      .map((name) => folder + name),
  )
  return new Map(
    files.map((file) => {
      const text = readFileSync(new URL(file, deploy), 'utf8')
      return [file, new Set([...text.matchAll(/\btendon_\w+/g)].map(([name]) => name))]
    }),
  )
}

/** @returns the names under which a page of `/metrics` can be asked for what it has */
export function exposedMetrics(page: string): Set<string> {
  const families = page.matchAll(/^# TYPE (\S+) (\S+)$/gm)
  return new Set(
    [...families].flatMap(([, name = '', type]) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    ),
  )
}
