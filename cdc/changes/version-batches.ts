/** ClickHouse's own limit for a parameter is 128 KiB; a version has up to 39 digits. */
const versionsAtOnce = 500

/** As many of these versions at a time as a query takes for one parameter; each once. */
export function* versionBatches(versions: Iterable<bigint>): Generator<bigint[]> {
  const all = [...new Set(versions)]
  for (let from = 0; from < all.length; from += versionsAtOnce) yield all.slice(from, from + versionsAtOnce)
}
