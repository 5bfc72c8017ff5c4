/** The highest of positions in the WAL, versions or offsets, of which none is below 0. */
export function highest(...values: (bigint | undefined)[]): bigint {
  return values.reduce<bigint>((most, value) => (value !== undefined && value > most ? value : most), 0n)
}
