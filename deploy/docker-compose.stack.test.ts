import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseEnv, promisify } from 'node:util'
import { beforeAll, expect, test } from 'vitest'
import { goProgram } from './native/install.ts'
import { deployFile } from './native/part.ts'

const file = fileURLToPath(new URL('../docker-compose.yml', import.meta.url))
const partsFolder = fileURLToPath(new URL('native/parts/', import.meta.url))

type Service = {
  environment?: Record<string, string>
  image?: string
  build?: { context: string; dockerfile_inline?: string }
  volumes?: { type: string; source: string }[]
}

let program: string
let services: Service[]
beforeAll(async () => {
  program = await goProgram('docker-compose', 'github.com/docker/compose/v5/cmd', 'v5.5.1')
  const { stdout } = await compose(file, '--format', 'json')
  services = Object.values(JSON.parse(stdout).services)
}, 600_000)

/** `docker compose config`, which needs no engine. */
async function compose(path: string, ...args: string[]): Promise<{ stdout: string; stderr: string }> {
  return promisify(execFile)(program, ['--file', path, 'config', ...args])
}

test('docker compose config -q takes it, and says nothing', async () => {
  expect(await compose(file, '-q')).toEqual({ stdout: '', stderr: '' })
  // It does look.
  await expect(compose(deployFile('kafka/server.properties'), '-q')).rejects.toMatchObject({ code: 1 })
})

/** What starts the native stack, as text: which programs and files it takes is written there. */
const nativeSource = readdirSync(partsFolder)
  .map((name) => readFileSync(join(partsFolder, name), 'utf8'))
  .join('\n')

test('every image is of one version, and what is built is built from the modules of the native stack', () => {
  const built = new Set(services.flatMap(({ image, build }) => (image && build ? [image] : [])))
  const pulled = services.flatMap(({ image, build }) => (image && !build && !built.has(image) ? [image] : []))
  expect(pulled.length).toBeGreaterThan(5)
  expect(pulled.filter((image) => !/:\d+\.\d[\w.-]*$/.test(image))).toEqual([])

  const dockerfiles = services.map(({ build }) => build?.dockerfile_inline).join('\n')
  const modules = [...dockerfiles.matchAll(/go install (\S+)@(\S+)/g)].map(([, ...module]) => module)
  const natives = [...nativeSource.matchAll(/goProgram\('\w+', '(\S+)', '(\S+)'\)/g)]
  expect(modules).toEqual(natives.map(([, ...module]) => module))
  expect(modules).toHaveLength(2)
})

test('whoever asks MinIO says the region that its settings give it, and the CDN knows two keys', () => {
  const region = parseEnv(readFileSync(deployFile('minio/minio.env'), 'utf8')).MINIO_SITE_REGION
  const regions = services.flatMap(({ environment }) => environment?.S3_REGION ?? [])
  expect(regions).toEqual([region, region])
  const keys = services.flatMap(({ environment }) => environment?.CDN_SIGNING_KEYS?.split(',') ?? [])
  expect(keys).toHaveLength(2)
  // What the head tells people to set is what the containers have.
  const told = [...readFileSync(file, 'utf8').matchAll(/^# +export .*/gm)].join('\n')
  expect(told).toContain(`S3_REGION=${region}\n`)
  expect(told).toContain(`CDN_SIGNING_KEYS=${keys}\n`)
})

/** ClickHouse's server is compose's alone: natively its engine runs without one. */
const onlyInCompose = ['clickhouse/named-collections.xml', 'clickhouse/long-lists.xml']

test('what is mounted and built from is there, and is what the native stack runs with', () => {
  const mounted = services.flatMap(({ volumes = [], build }) => [
    ...volumes.filter(({ type }) => type === 'bind').map(({ source }) => source),
    ...(build && !build.dockerfile_inline ? [build.context] : []),
  ])
  expect(mounted.length).toBeGreaterThan(10)
  expect(mounted.filter((path) => !existsSync(path))).toEqual([])

  const native = [...nativeSource.matchAll(/deployFile\(['`](.+?)['`]\)/g)]
    .flatMap(([, path = '']) => ['crm', 'telemetry'].map((name) => path.replace(/\$\{name\}/, name)))
    .map(deployFile)
    .filter((path) => existsSync(path))
  const holds = (folder: string, path: string) => path === folder || path.startsWith(`${folder}/`)
  expect(native.filter((path) => !mounted.some((folder) => holds(folder, path)))).toEqual([])
  const strange = mounted.filter((folder) => !native.some((path) => holds(folder, path)))
  expect(strange).toEqual(onlyInCompose.map(deployFile))
})
