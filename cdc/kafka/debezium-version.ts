/**
 * A change's place in commit order, from what Debezium says of it (docs/commit-order.md has the proof).
 *
 * `source.sequence` is [end of the last commit before the change's own, LSN of the change]. Transactions come in commit
 * order and a transaction's changes in their order, so that both halves together rise from change to change, where the
 * second alone does not. The first is null in the first transaction after a connector was made, and throughout its
 * initial snapshot; there the connector's own base stands in (`__history`, a static field of its messages): a position
 * of the WAL after everything an earlier connector read, and before everything this one streams.
 */
export type SourceVersion = {
  op: string
  /** `[null,"29349848"]` as Debezium writes it. */
  sequence: string
  /** `<base>/<offset>` */
  history: string
}

/** What is none is no change event. 19 digits fit 64 bits. */
export const sequencePattern = '^\\[(null|"[0-9]{1,19}"),"[0-9]{1,19}"\\]$'
export const historyPattern = '^[0-9]{1,19}/[0-9]{1,19}$'

/** The lower half for rows of the initial snapshot; tombstones of what it did not find have 0. */
const snapshotRow = 1n

export function debeziumVersion({ op, sequence, history }: SourceVersion): bigint {
  const [base = '0', offset = '0'] = history.split('/')
  const [committed, change]: (string | null)[] = JSON.parse(sequence)
  if (op === 'r') return (BigInt(base) << 64n) | snapshotRow
  const upper =
    committed === null || committed === undefined ? BigInt(base) : BigInt(committed) + BigInt(offset)
  return (upper << 64n) | BigInt(change ?? '0')
}

/** The lowest version of the next transaction, or of the first one after the initial snapshot. */
export function nextTransaction(version: bigint): bigint {
  const [upper, lower] = [version >> 64n, BigInt.asUintN(64, version)]
  return lower <= snapshotRow ? (upper << 64n) + snapshotRow + 1n : (upper + 1n) << 64n
}

/**
 * The same in ClickHouse.
 * @param from SQL of each part
 */
export function debeziumVersionSql(from: Record<keyof SourceVersion, string>): string {
  const halves = `JSONExtract(${from.sequence}, 'Array(Nullable(String))')`
  const base = `toUInt64OrZero(splitByChar('/', ${from.history})[1])`
  const offset = `toUInt64OrZero(splitByChar('/', ${from.history})[2])`
  const upper = `if(isNull(${halves}[1]), ${base}, toUInt64OrZero(assumeNotNull(${halves}[1])) + ${offset})`
  const lower = `toUInt64OrZero(ifNull(${halves}[2], ''))`
  const isInitial = `${from.op} = 'r'`
  return `bitOr(bitShiftLeft(toUInt128(if(${isInitial}, ${base}, ${upper})), 64), toUInt128(if(${isInitial}, ${snapshotRow}, ${lower})))`
}
