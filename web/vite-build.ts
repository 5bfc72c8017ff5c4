import { fileURLToPath } from 'node:url'
import { build } from 'vite'

/**
 * Builds the pages into the folder named by the first argument. Runs as a process of its own (see build.ts).
 * Nothing is inlined: a page under `default-src 'self'` may load neither data: addresses nor inline code.
 */
await build({
  root: fileURLToPath(new URL('.', import.meta.url)),
  configFile: false,
  logLevel: 'error',
  build: {
    outDir: process.argv[2]!,
    emptyOutDir: false,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
})
