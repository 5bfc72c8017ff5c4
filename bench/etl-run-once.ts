import { enableCompileCache } from 'node:module'

// As etl/cli.ts does.
enableCompileCache()
const { runOnceAndReport } = await import('./etl-run-and-report.ts')
await runOnceAndReport()
