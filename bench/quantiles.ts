/**
 * The smallest sample that at least this share of the samples does not exceed (nearest rank): a value that was
 * really measured, never one between two.
 * @param share in (0, 1]
 */
export function quantile(samples: readonly number[], share: number): number {
  if (samples.length === 0) throw new RangeError('No samples.')
  const ascending = samples.toSorted((a, b) => a - b)
  return ascending[Math.ceil(share * ascending.length) - 1]!
}

export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5)
}
