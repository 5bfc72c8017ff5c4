import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'

/** Pseudo-random values that are the same for the same seed, on every machine. */
export type Random = {
  /** In [0, 1). */
  float(): number
  /** A whole number from `min` to `max`, both included. */
  integer(min: number, max: number): number
  chance(probability: number): boolean
  pick<Item>(items: readonly Item[]): Item
  /** About normal: three uniforms added up, so never further than three deviations from the mean. */
  normal(mean: number, deviation: number): number
  /** In the form of a version 4 UUID. */
  uuid(): string
}

export function createRandom(seed: number): Random {
  const generator = xoroshiro128plus(seed)
  const float = () => (generator.next() >>> 0) / 0x1_0000_0000
  const integer = (min: number, max: number) => min + Math.floor(float() * (max - min + 1))
  const hex = (digits: number) => Array.from({ length: digits }, () => integer(0, 15).toString(16)).join('')
  return {
    float,
    integer,
    chance: (probability) => float() < probability,
    pick: (items) => items[integer(0, items.length - 1)]!,
    normal: (mean, deviation) => mean + (float() + float() + float() - 1.5) * 2 * deviation,
    uuid: () => `${hex(8)}-${hex(4)}-4${hex(3)}-${'89ab'[integer(0, 3)]}${hex(3)}-${hex(12)}`,
  }
}
