import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TestBrowser } from '@tendon/bff/fixtures/test-browser.fixture.ts'
import { type ReportEnvelope, reportEnvelope } from '@tendon/contracts/report-envelope.ts'
import { type ReportLink, reportLink } from '@tendon/contracts/reports-api.ts'
import { openDataFolder } from '@tendon/embedded/data-folder.ts'
import { readEmbeddedConfig } from '@tendon/embedded/embedded-config.ts'
import { startTendon, type Tendon } from '@tendon/embedded/start-tendon.ts'
import { createLifecycle } from '@tendon/platform/lifecycle.ts'
import { createLog } from '@tendon/platform/log.ts'
import { silentProgress } from '@tendon/platform/progress.ts'
import { dailyReport } from '@tendon/web/src/report/daily/daily-view.ts'

/** Enough for the 30 days of a report; the full 90 only take longer to load. */
const demoDays = '32'

export type TestTendon = Tendon & {
  dataPath: string
  logLines: string[]
  stop(): Promise<void>
}

/**
 * The whole product in this process, on a free port and, unless given, a folder of its own that goes with `stop`.
 * @param env as a person would set it
 */
export async function startTestTendon(
  options: { env?: Record<string, string>; dataPath?: string } = {},
): Promise<TestTendon> {
  const dataPath = options.dataPath ?? (await mkdtemp(join(tmpdir(), 'tendon-e2e-')))
  const config = readEmbeddedConfig({
    env: {
      PORT: '0',
      TENDON_DATA: dataPath,
      TENDON_DEMO_DAYS: demoDays,
      TENDON_SIMULATOR: 'no',
      ...options.env,
    },
    argv: [],
  })
  const logLines: string[] = []
  const logFor = (service: string) =>
    createLog({ service, level: 'debug' }, { write: (line) => void logLines.push(line) })
  const folder = await openDataFolder(dataPath, { reset: false })
  const lifecycle = createLifecycle({ log: logFor('tendon') })

  async function stop(): Promise<void> {
    await lifecycle.stop()
    await folder.release()
    if (options.dataPath === undefined) await rm(dataPath, { recursive: true, force: true })
  }
  try {
    const tendon = await startTendon(config, { folder, lifecycle, logFor, progress: silentProgress })
    return { ...tendon, dataPath, logLines, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

export const today = () => new Date().toISOString().slice(0, 10)

/** Somebody at their browser, signed in through the provider's form. */
export async function signIn(tendon: Pick<Tendon, 'url'>, username: string) {
  const browser = new TestBrowser()
  const landed = await browser.signIn(`${tendon.url}/auth/login`, username)
  if (landed.status !== 200) throw new Error(`${username} could not sign in: ${landed.status} ${landed.text}`)
  const get = (path: string) => browser.request(new URL(path, tendon.url), { headers: { accept: '*/*' } })

  async function link(date = today()): Promise<ReportLink> {
    const page = await get(`/api/reports/cdn/${date}`)
    if (page.status !== 200) throw new Error(`${page.status} ${page.text}`)
    return reportLink.parse(JSON.parse(page.text))
  }
  return {
    browser,
    get,
    link,
    /** The report itself, with the very bytes that the CDN sent. */
    async report(date?: string) {
      const { url } = await link(date)
      const bytes = (await browser.request(url, { headers: { cookie: '' } })).text
      const envelope: ReportEnvelope = reportEnvelope.parse(JSON.parse(bytes))
      return { url, bytes, envelope, data: dailyReport.parse(envelope).data }
    },
  }
}

/** The object behind a link, without the signature: it changes exactly when the report does. */
export const objectOf = (url: string) => new URL(url).pathname
