import { defineConfig } from 'vitest/config'

// Two projects, told apart by the file's name: `*.test.ts` needs nothing but npm's packages, `*.stack.test.ts`
// needs real servers from outside (Redis, Chromium, …), which `.ci/run` installs and starts.
export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    projects: [
      {
        extends: true,
        test: { name: 'unit', include: ['**/*.test.ts'], exclude: ['**/node_modules/**', '**/*.stack.test.ts'] },
      },
      {
        extends: true,
        test: { name: 'stack', include: ['**/*.stack.test.ts'], exclude: ['**/node_modules/**'] },
      },
    ],
  },
})
