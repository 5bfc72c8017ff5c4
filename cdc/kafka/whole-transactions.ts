import { nextTransaction } from './debezium-version.ts'

/**
 * Finds up to which version transactions are whole in the replicas. What Debezium says of a change does not tell where
 * its transaction ends. But when anything of a transaction is visible it has been committed, as has all before it in
 * commit order: their ends lie below where the WAL ended then, and what lies below that is dealt with one day.
 */
export function createWholeTransactions(readWalEnd: () => Promise<bigint>) {
  const visible: { version: bigint; walEnd: bigint }[] = []
  return {
    /** Takes note that a change is visible. */
    async note(version: bigint): Promise<void> {
      if (version <= (visible.at(-1)?.version ?? 0n)) return
      visible.push({ version, walEnd: await readWalEnd() })
    },
    /**
     * @param lsn everything committed below it is dealt with
     * @returns the first version of what may not be whole; undefined when there is nothing new to say
     */
    wholeBefore(lsn: bigint): bigint | undefined {
      const whole = visible.findLastIndex(({ walEnd }) => walEnd <= lsn)
      return whole < 0 ? undefined : nextTransaction(visible.splice(0, whole + 1).at(-1)!.version)
    },
  }
}
