import { execFile, spawn } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { makeCertificate } from '@tendon/cdn/test-certificate.fixture.ts'
import { freePort } from '@tendon/platform/free-port.ts'
import { type SigningKeys, signPath } from '@tendon/platform/url-signature.ts'
import type { BenchCase, BenchContext } from '../bench-case.ts'
import { generateLoad } from '../load-generator.ts'
import { treeCpuSeconds } from '../processes.ts'
import { type Measurement, measuredRepeatedly } from '../results.ts'
import type { Scope } from '../scope.ts'
import { openStackObjectStore } from '../stack-object-store.ts'

const run = promisify(execFile)
const repetitions = 5
const seconds = 3
const connections = 16
const headers = { 'accept-encoding': 'gzip' }
const sizes = { '5 KB': 5_000, '200 KB': 200_000 }
const keys: SigningKeys = [{ id: 'bench', secret: 'a-secret-of-the-benchmark-0123456789' }]

export const cdnCase: BenchCase = {
  name: 'cdn',
  title: 'signed hits of nginx as the CDN against nginx serving the same bytes as static files',
  needs: ['S3_ENDPOINT'],
  timeoutMs: 600_000,
  run: measureCdn,
}

type Server = { url: string; pid: number }

async function measureCdn({ scope, say }: BenchContext) {
  const folder = scope.temporaryFolder()
  await chmod(folder, 0o755)
  const objects = await putObjects(scope)
  const tls = await makeCertificate(folder)
  const measurements: Measurement[] = []
  for (const scheme of ['http', 'https'] as const) {
    const certificate = scheme === 'https' ? tls : undefined
    const cdn = await startCdn(scope, join(folder, `cdn-${scheme}`), certificate)
    const peer = await startStatic(scope, join(folder, `static-${scheme}`), objects, certificate)
    for (const [size, object] of Object.entries(objects)) {
      say(`${scheme}, ${size}`)
      measurements.push(...(await compare(`${scheme}, ${size}`, cdn, peer, object)))
    }
  }
  const { stderr } = await run('nginx', ['-v'])
  const { stdout } = await run('sysctl', ['-n', 'net.ipv4.tcp_congestion_control'])
  return {
    measurements,
    servers: {
      nginx: /nginx\/(\S+)/.exec(stderr)?.[1] ?? 'unknown',
      minio: 'v0.0.0-20260212',
      'congestion control': stdout.trim(),
    },
  }
}

type BenchObject = { key: string; body: Buffer }

async function putObjects(scope: Scope): Promise<Record<string, BenchObject>> {
  const store = openStackObjectStore()
  const objects: Record<string, BenchObject> = {}
  for (const [size, bytes] of Object.entries(sizes)) {
    const key = `reports/bench/${randomUUID()}/2026-01-31/${bytes}.json`
    // As reports are stored: compressed, and to about this size.
    const body = gzipSync(randomBytes(bytes).toString('base64'))
    await store.put(key, body, { contentType: 'application/json', contentEncoding: 'gzip' })
    scope.defer(() => store.delete(key))
    objects[size] = { key, body }
  }
  return objects
}

type Certificate = Awaited<ReturnType<typeof makeCertificate>> | undefined

async function startCdn(scope: Scope, folder: string, tls: Certificate): Promise<Server> {
  const port = await freePort('127.0.0.1')
  await mkdir(folder)
  const child = spawn(fileURLToPath(new URL('../../cdn/nginx/start.sh', import.meta.url)), {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      ...process.env,
      CDN_RUN: folder,
      CDN_LISTEN: `127.0.0.1:${port}`,
      CDN_SIGNING_KEYS: keys.map(({ id, secret }) => `${id}:${secret}`).join(','),
      ...(tls && { CDN_TLS_CERTIFICATE: tls.certificate, CDN_TLS_KEY: tls.key }),
    },
  })
  scope.defer(() => ended(child))
  await untilListening(port)
  return { url: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`, pid: child.pid! }
}

/** nginx as one would set it up for static files, with the same settings where both have them. */
async function startStatic(
  scope: Scope,
  folder: string,
  objects: Record<string, BenchObject>,
  tls: Certificate,
): Promise<Server> {
  const port = await freePort('127.0.0.1')
  for (const { key, body } of Object.values(objects)) {
    const path = join(folder, 'files', key)
    await mkdir(join(path, '..'), { recursive: true })
    await writeFile(path, body, { mode: 0o644 })
  }
  const template = await readFile(new URL('static-nginx.conf', import.meta.url), 'utf8')
  const listen = tls
    ? `listen 127.0.0.1:${port} ssl http2; ssl_certificate ${tls.certificate}; ssl_certificate_key ${tls.key};`
    : `listen 127.0.0.1:${port};`
  await writeFile(join(folder, 'nginx.conf'), template.replaceAll('@LISTEN@', listen))
  const child = spawn('nginx', ['-p', `${folder}/`, '-c', join(folder, 'nginx.conf')], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  scope.defer(() => ended(child))
  await untilListening(port)
  return { url: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`, pid: child.pid! }
}

async function ended(child: ReturnType<typeof spawn>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  await exited
}

async function untilListening(port: number): Promise<void> {
  const deadline = performance.now() + 20_000
  for (;;) {
    const answer = await run('curl', [
      '--silent',
      '--insecure',
      '--output',
      '/dev/null',
      `127.0.0.1:${port}`,
    ]).catch(() => undefined)
    if (answer) return
    if (performance.now() > deadline) throw new Error('nginx did not start.')
    await delay(100)
  }
}

/** The two take turns, so that both see the same machine. */
async function compare(
  what: string,
  cdn: Server,
  peer: Server,
  { key }: BenchObject,
): Promise<Measurement[]> {
  const link = () =>
    signPath({ method: 'GET', path: `/${key}`, expiresAtS: Math.floor(Date.now() / 1000) + 600, keys })
  const samples: Record<
    | 'cdnCpu'
    | 'staticCpu'
    | 'keptOpenCpu'
    | 'cpuRatio'
    | 'keptOpenRatio'
    | 'cdnRate'
    | 'rateRatio'
    | 'cdnP99',
    number[]
  > = {
    cdnCpu: [],
    staticCpu: [],
    keptOpenCpu: [],
    cpuRatio: [],
    keptOpenRatio: [],
    cdnRate: [],
    rateRatio: [],
    cdnP99: [],
  }
  // The first one fetches it from MinIO.
  for (const url of [cdn.url + link(), `${peer.url}/${key}`])
    await generateLoad({ url, seconds: 1, connections, headers })
  for (let repetition = 0; repetition < repetitions; repetition += 1) {
    const own = await loaded(cdn, cdn.url + link())
    const other = await loaded(peer, `${peer.url}/${key}`)
    const keptOpen = await loaded(peer, `${peer.url}/kept-open/${key}`)
    samples.cdnCpu.push(own.cpuUs)
    samples.staticCpu.push(other.cpuUs)
    samples.keptOpenCpu.push(keptOpen.cpuUs)
    samples.cpuRatio.push(other.cpuUs / own.cpuUs)
    samples.keptOpenRatio.push(keptOpen.cpuUs / own.cpuUs)
    samples.cdnRate.push(own.requestsPerSecond)
    samples.rateRatio.push(own.requestsPerSecond / other.requestsPerSecond)
    samples.cdnP99.push(own.p99Ms)
  }
  return [
    measuredRepeatedly(`${what}: nginx's CPU for a signed hit`, samples.cdnCpu, 'CPU µs'),
    measuredRepeatedly(`${what}: its CPU for the static file`, samples.staticCpu, 'CPU µs'),
    measuredRepeatedly(`${what}: hits for the CPU of a static file`, samples.cpuRatio, '×', {
      atLeast: 0.95,
    }),
    measuredRepeatedly(`${what}: CPU for a static file kept open`, samples.keptOpenCpu, 'CPU µs'),
    measuredRepeatedly(`${what}: hits for the CPU of one kept open`, samples.keptOpenRatio, '×'),
    measuredRepeatedly(`${what}: signed hits`, samples.cdnRate, 'requests/s'),
    measuredRepeatedly(`${what}: of the rate of static files`, samples.rateRatio, '×'),
    measuredRepeatedly(`${what}: signed hits, p99`, samples.cdnP99, 'ms'),
  ]
}

async function loaded(server: Server, url: string) {
  const before = await treeCpuSeconds(server.pid)
  const load = await generateLoad({ url, seconds, connections, headers })
  const cpuSeconds = (await treeCpuSeconds(server.pid)) - before
  return { ...load, cpuUs: (cpuSeconds / load.requests) * 1e6 }
}
