import { faultyFirmware, type ProsthesisKind } from './demo-models.ts'
import type { Random } from './random.ts'

/** Movements a minute in use, milliseconds a motor runs for one, and the usual response time. */
export const kindTraits: Record<ProsthesisKind, { perMinute: number; runMs: number; responseMs: number }> = {
  hand: { perMinute: 3.2, runMs: 900, responseMs: 118 },
  arm: { perMinute: 2.4, runMs: 1_400, responseMs: 142 },
  elbow: { perMinute: 1.8, runMs: 1_600, responseMs: 151 },
  knee: { perMinute: 11, runMs: 420, responseMs: 34 },
  foot: { perMinute: 13, runMs: 300, responseMs: 27 },
  leg: { perMinute: 9, runMs: 520, responseMs: 46 },
}

/** Faults that any device has now and then: electrode contact (the most), motor temperature, cold battery, radio. */
const commonErrorCodes = ['E101', 'E101', 'E104', 'E130', 'E302']
export const allErrorCodes = [...new Set([...commonErrorCodes, ...faultyFirmware.errorCodes])]
const commonErrorShare = 0.0015
const faultyErrorShare = 0.06

/** The error code that comes with a message, if one does. */
export function drawErrorCode(random: Random, isFaulty: boolean): string | undefined {
  if (!random.chance(isFaulty ? faultyErrorShare : commonErrorShare)) return undefined
  return random.pick(isFaulty ? faultyFirmware.errorCodes : commonErrorCodes)
}

/** Most responses are close to usual; a few take several times as long; a low battery and the fault add. */
export function drawResponseTimeMs(
  random: Random,
  usualMs: number,
  { batteryPercent, isFaulty }: { batteryPercent: number; isFaulty: boolean },
): number {
  const spread = Math.max(0.55, random.normal(1, 0.16))
  const tail = random.chance(0.03) ? 1.6 + random.float() ** 2 * 4 : 1
  const slowed = (batteryPercent < 20 ? 1.18 : 1) * (isFaulty ? 1.35 : 1)
  return Math.round(usualMs * spread * tail * slowed * 10) / 10
}
