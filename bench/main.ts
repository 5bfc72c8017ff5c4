import { existsSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { createLog } from '@tendon/platform/log.ts'
import type { BenchCase } from './bench-case.ts'
import { cdnCase } from './cases/cdn.ts'
import { chainCase } from './cases/chain.ts'
import { etlCase } from './cases/etl.ts'
import { etlIncrementCase } from './cases/etl-increment.ts'
import { etlPeersCase } from './cases/etl-peers.ts'
import { feedCase } from './cases/feed.ts'
import { gatewayCase } from './cases/gateway.ts'
import { latencyCase } from './cases/latency.ts'
import { leaderKilledCase } from './cases/leader-killed.ts'
import { reportSelectCase } from './cases/report-select.ts'
import { reportsCase } from './cases/reports.ts'
import { startCase } from './cases/start.ts'
import { renderText, writeReadme } from './render-results.ts'
import { type CaseResult, writeResult } from './results.ts'
import { runCase } from './run-case.ts'

const exitUsage = 64
const exitInterrupted = 130

const cases: BenchCase[] = [
  startCase,
  latencyCase,
  feedCase,
  chainCase,
  etlCase,
  etlPeersCase,
  etlIncrementCase,
  reportsCase,
  leaderKilledCase,
  cdnCase,
  reportSelectCase,
  gatewayCase,
]
const usage = `npm run bench [-- case ...] [--json] [--write]

Measures the product on this machine. Without a name all cases run, one after the other:
${cases.map(({ name, title }) => `  ${name.padEnd(14)}${title}`).join('\n')}

  --json   print the results as JSON
  --write  keep the results in bench/results/ and show them in bench/README.md
  --help   print this

Exit codes: 0 all cases ran (whether or not a target was met), 1 a case failed, 64 the options are wrong,
130 interrupted.
`

const say = (text: string) => void process.stderr.write(`${text}\n`)

const { chosen, json, write } = readArguments(process.argv.slice(2))
const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => interrupted.abort(new Error('Interrupted.')))
}
process.exit(await runAll())

function readArguments(args: string[]): { chosen: BenchCase[]; json: boolean; write: boolean } {
  try {
    const flag = { type: 'boolean', default: false } as const
    const { values, positionals } = parseArgs({
      args,
      options: { help: flag, json: flag, write: flag },
      allowPositionals: true,
    })
    if (values.help) {
      process.stdout.write(usage)
      process.exit(0)
    }
    const unknown = positionals.filter((name) => !cases.some((bench) => bench.name === name))
    if (unknown.length > 0) throw new Error(`There is no case called ${unknown.join(', ')}.`)
    if (!existsSync('/proc/self/smaps_rollup')) throw new Error("The measurements need Linux's /proc.")
    const isChosen = ({ name, needs = [] }: BenchCase) =>
      positionals.length === 0 ? needs.every((variable) => process.env[variable]) : positionals.includes(name)
    const chosen = cases.filter(isChosen)
    return { chosen, json: values.json, write: values.write }
  } catch (error) {
    say(`${error instanceof Error ? error.message : error}\n\n${usage}`)
    process.exit(exitUsage)
  }
}

/** @returns the exit code */
async function runAll(): Promise<number> {
  const log = createLog({ service: 'bench', level: 'warn' }, process.stderr)
  const results: CaseResult[] = []
  let failed = false
  for (const bench of chosen) {
    say(`${bench.name}: ${bench.title}`)
    try {
      const result = await runCase(bench, { log, say: (text) => say(`  ${text}`) }, interrupted.signal)
      results.push(result)
      if (!json) process.stdout.write(`\n${renderText(result)}\n`)
      if (write) await writeResult(result)
    } catch (err) {
      if (interrupted.signal.aborted) return exitInterrupted
      log.error({ err }, `case ${bench.name} failed`)
      failed = true
    }
  }
  if (write) await writeReadme()
  if (json) process.stdout.write(`${JSON.stringify(results, undefined, 2)}\n`)
  return failed ? 1 : 0
}
