import { enableCompileCache } from 'node:module'

// What is compiled once is read by the next call: loading took 0.7 CPU seconds of each, and takes half of it.
enableCompileCache()
const { runCommand } = await import('./commands/run-command.ts')
await runCommand(process.argv.slice(2))
