import type { Log } from '@tendon/platform/log.ts'
import { createDatabaseLoop } from './database-loop.ts'
import { type DeviceInUse, readDevicesInUse } from './devices-in-use.ts'
import { createRandom } from './random.ts'
import { changeCrm } from './simulated-crm-changes.ts'
import { createTelemetryTick } from './simulated-telemetry.ts'

export type Simulator = {
  start(): void
  /** Within a second, whatever the databases do. */
  stop(): Promise<void>
}

/**
 * Lets the demo live: devices in use go on sending, and the CRM is worked with. Both databases must have their
 * schema. It survives their restarts, and never changes alice's or bob's rows in the CRM.
 * @param seed for the same choices again; another one each time unless told
 * @param telemetryIntervalMs between batches of about seven messages
 * @param crmIntervalMs between changes of one customer or prosthesis
 */
export function createSimulator(options: {
  crmUrl: string
  telemetryUrl: string
  log: Log
  seed?: number
  telemetryIntervalMs?: number
  crmIntervalMs?: number
  now?: () => Date
}): Simulator {
  const { crmUrl, telemetryUrl, log, telemetryIntervalMs = 1_000, crmIntervalMs = 4_000 } = options
  const now = options.now ?? (() => new Date())
  const seed = options.seed ?? now().getTime()
  const crmRandom = createRandom(seed)
  // The CRM loop reads who has what at each turn; telemetry begins when that is known.
  let devices: DeviceInUse[] = []

  const loops = [
    createDatabaseLoop({
      name: 'simulated CRM changes',
      url: crmUrl,
      intervalMs: crmIntervalMs,
      log,
      async work(client) {
        devices = await readDevicesInUse(client, now())
        const change = await changeCrm(client, { random: crmRandom, now: now(), devices })
        log.debug({ change }, 'simulated a change of the CRM')
      },
    }),
    createDatabaseLoop({
      name: 'simulated telemetry',
      url: telemetryUrl,
      intervalMs: telemetryIntervalMs,
      log,
      work: createTelemetryTick({ random: createRandom(seed + 1), now, devices: () => devices }),
    }),
  ]

  return {
    start() {
      for (const loop of loops) loop.start()
    },
    async stop() {
      await Promise.all(loops.map((loop) => loop.stop()))
    },
  }
}
